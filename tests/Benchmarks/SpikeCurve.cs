using System.Collections.Immutable;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Benchmarks;

/// <summary>What people labelled in a curve, by places of samples; the end is the last place at which an alarm finds it.</summary>
internal sealed record SpikeLabel(int Start, int End, string Kind, int Samples)
{
    public bool Scored => Kind is "spike" or "nan" or "level_shift";

    /// <summary>It is NaN, shifts, or stays up for 20 samples: worth going back for.</summary>
    public bool WorthActing => Kind is "nan" or "level_shift" || (Kind == "spike" && Samples >= 20);
}

/// <summary>
/// A public run with labels: a folder of CSV files and manifest.json (series: name, file, repo, events: start, end, kind), scored causally.
/// An event is found by an alarm from its start to 3 samples after its end; alarms outside of all labels are one false alarm while at most
/// 20 samples apart; the first 50 samples or 2 % are not scored (5 where it is shorter than 150, or NaN comes earlier).
/// </summary>
internal sealed record SpikeCurve(string Name, bool Fitted, ImmutableArray<LossSample> Samples, ImmutableArray<SpikeLabel> Labels, int From)
{
    public static ImmutableArray<SpikeCurve> In(string folder)
    {
        var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json")))!;
        return [.. manifest["series"]!.AsArray().Select(series => Of(folder, series!))];
    }

    public SpikeScore Score(IReadOnlyCollection<int> alarms, IReadOnlyCollection<int> acts)
    {
        int[] judged = [.. alarms.Where(a => a >= From)];
        var events = Labels.Where(l => l.Scored && l.End >= From).ToList();
        int found = events.Count(e => judged.Any(a => a >= e.Start && a <= e.End));
        int falseAlarms = 0;
        int last = int.MinValue / 2;
        foreach (int alarm in judged.Where(a => !Labels.Any(l => a >= l.Start && a <= l.End)))
        {
            falseAlarms += alarm - last > 20 ? 1 : 0;
            last = alarm;
        }

        var worth = Labels.Where(l => l.WorthActing).ToList();
        bool Of(SpikeLabel label, int act) => act >= label.Start && act <= label.End + SpikeRule.JudgedAfter;
        return new SpikeScore(found, events.Count - found, falseAlarms, worth.Count(w => acts.Any(a => Of(w, a))), worth.Count,
            acts.Count(a => !worth.Exists(w => Of(w, a))), Samples.Length);
    }

    private static SpikeCurve Of(string folder, JsonNode series)
    {
        var samples = LossFile.Parse(File.ReadAllText(Path.Combine(folder, (string)series["file"]!))).Samples;
        int Place(long step, int otherwise) => samples.Index().Where(s => s.Item.Step >= step).Select(s => s.Index)
            .FirstOrDefault(otherwise);
        var labels = series["events"]!.AsArray().Select(label =>
        {
            int start = Place((long)label!["start"]!, samples.Length - 1);
            int end = Place((long)label["end"]! + 1, samples.Length) - 1;
            return new SpikeLabel(start, end + 3, (string)label["kind"]!, end - start + 1);
        });
        int from = (int)Math.Max(50, Math.Ceiling(samples.Length / 50.0));
        int broken = Place(long.MinValue, 0);
        for (; broken < samples.Length && double.IsFinite(samples[broken].Loss); broken++)
        {
        }

        return new SpikeCurve((string)series["name"]!, !((string)series["repo"]!).Contains("Megatron-LM", StringComparison.Ordinal),
            samples, [.. labels], samples.Length < 150 || broken < from ? 5 : from);
    }
}

internal readonly record struct SpikeScore(int Found, int Missed, int FalseAlarms, int Caught, int Worth, int FalseActs, int Samples)
{
    public double F1 => Found == 0 ? 0 : 2.0 * Found / ((2 * Found) + Missed + FalseAlarms);

    public static SpikeScore operator +(SpikeScore a, SpikeScore b) => new(a.Found + b.Found, a.Missed + b.Missed,
        a.FalseAlarms + b.FalseAlarms, a.Caught + b.Caught, a.Worth + b.Worth, a.FalseActs + b.FalseActs, a.Samples + b.Samples);
}
