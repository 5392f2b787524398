using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Spikes;

/// <summary>
/// Watches a loss, one sample at a time, by <see cref="SpikeRule"/>. It flags at once, since whoever pins a checkpoint cannot wait, and
/// judges late, since no rule tells one odd batch from a run that is lost by its first sample: all that differs is what follows.
/// The same samples give the same answers, also where <see cref="State"/> was put away and taken up again in between.
/// </summary>
public sealed class SpikeDetector
{
    private readonly LossWindow losses;
    private readonly NormWindow norms;
    private readonly Queue<long> flagged;
    private readonly List<OpenFlag> open;
    private readonly List<SpikeAlarm> alarms = [];
    private readonly List<SpikeAlarm> judged = [];
    private readonly List<SpikeVerdict> verdicts = [];
    private string regime;
    private long? step;
    private bool up;
    private bool broken;

    public SpikeDetector(SpikeState? from = null)
    {
        from ??= SpikeState.Empty;
        losses = new LossWindow(from.Recent);
        norms = new NormWindow(from.Norms, from.Steep, from.SteepTold);
        flagged = new Queue<long>(from.Flagged);
        open = [.. from.Open];
        (regime, step, up, broken) = (from.Regime, from.Step, from.Up, from.Broken);
    }

    public SpikeState State => new(losses.Entries, norms.Entries, [.. open], [.. flagged])
    {
        Regime = regime,
        Step = step,
        Up = up,
        Broken = broken,
        Steep = norms.Steep,
        SteepTold = norms.Told,
    };

    /// <summary>What the newest sample was flagged for.</summary>
    public IReadOnlyList<SpikeAlarm> Alarms => alarms;

    /// <summary>What became of earlier flags, as the newest sample shows.</summary>
    public IReadOnlyList<SpikeAlarm> Judged => judged;

    /// <summary>What the newest sample makes certain.</summary>
    public IReadOnlyList<SpikeVerdict> Verdicts => verdicts;

    /// <summary>What can be said of flags that no further sample judges.</summary>
    public IEnumerable<SpikeAlarm> Unjudged => open.Select(flag => flag.Back ? Blip(flag)
        : new SpikeAlarm(flag.Step, SpikeKind.Spike, $"{flag.Reason}; too few samples follow to say what became of it"));

    /// <summary>Takes a sample. A step that is not beyond the newest goes back: level and spread are again those of before it.</summary>
    public void Take(in LossSample sample)
    {
        alarms.Clear();
        judged.Clear();
        verdicts.Clear();
        if (sample.Regime != regime)
        {
            Begin(sample.Regime);
        }

        if (sample.Step <= step)
        {
            GoBack(sample.Step);
        }

        step = sample.Step;
        if (double.IsFinite(sample.Loss))
        {
            Judge(sample.Loss);
            TakeFinite(sample);
        }
        else
        {
            TakeBroken(sample);
        }
    }

    private void TakeFinite(in LossSample sample)
    {
        broken = false;
        string? steep = norms.Take(sample.Step, sample.GradNorm);
        var (level, spread) = (losses.Level, losses.Spread);
        bool flag = level is { } l && spread is { } s
            && sample.Loss - l > SpikeRule.FlagAt * s && sample.Loss - l > SpikeRule.FlagPart * Math.Abs(l);
        losses.Add(sample.Step, sample.Loss);
        if (flag && !up)
        {
            Flag(sample, level!.Value, spread!.Value);
        }
        else if (steep is not null && !flag)
        {
            alarms.Add(new SpikeAlarm(sample.Step, SpikeKind.GradientSpike, steep));
        }

        up = flag;
    }

    private void Flag(in LossSample sample, double level, double spread)
    {
        string times = spread > 0 ? $"{Say((sample.Loss - level) / spread)} times the spread of {Say(spread)}" : "all that was seen";
        string reason = $"the loss of step {sample.Step} is {Say(sample.Loss)}, {times} above its level of {Say(level)}";
        if (flagged.Contains(sample.Step))
        {
            reason += "; this step was flagged when it was trained before, so it is the batch's own";
        }

        Remember(sample.Step);
        open.Add(new OpenFlag(sample.Step, sample.Loss, level, spread, reason, 0, []));
        alarms.Add(new SpikeAlarm(sample.Step, SpikeKind.Suspected, reason));
    }

    private void TakeBroken(in LossSample sample)
    {
        if (!broken)
        {
            string reason = $"the loss of step {sample.Step} is {(double.IsNaN(sample.Loss) ? "NaN" : "infinite")}";
            Remember(sample.Step);
            alarms.Add(new SpikeAlarm(sample.Step, SpikeKind.Nan, reason));
            verdicts.Add(new SpikeVerdict(sample.Step, sample.Step, SpikeKind.Nan, $"{reason}: what is trained on from there is lost"));
            Close("it went on to a loss that is not finite");
        }

        (broken, up) = (true, false);
    }

    /// <summary>Each flag is held against the level of before it, which no sample since has moved.</summary>
    private void Judge(double loss)
    {
        for (int i = 0; i < open.Count; i++)
        {
            var flag = open[i];
            double left = loss - flag.Level;
            bool back = flag.Back || (flag.Samples < SpikeRule.BackWithin
                && (left <= SpikeRule.BackAt * flag.Spread || left <= SpikeRule.BackPart * (flag.Loss - flag.Level)));
            var after = flag.After.Length == SpikeRule.JudgedOver ? flag.After.RemoveAt(0) : flag.After;
            open[i] = flag with { Samples = flag.Samples + 1, Back = back, After = after.Add(loss) };
        }

        while (open.Count > 0 && open[0].Samples >= SpikeRule.JudgedAfter)
        {
            var flag = open[0];
            open.RemoveAt(0);
            Conclude(flag);
        }
    }

    private void Conclude(OpenFlag flag)
    {
        double now = Median(flag.After);
        if (SpikeRule.StaysUp(now, flag.Level, flag.Spread))
        {
            string reason = $"{flag.Reason}; {SpikeRule.JudgedAfter} samples later it is still up at {Say(now)}";
            judged.Add(new SpikeAlarm(flag.Step, SpikeKind.Divergence, reason));
            verdicts.Add(new SpikeVerdict(step!.Value, flag.Step, SpikeKind.Divergence, reason)
            {
                Level = flag.Level,
                Spread = flag.Spread,
                Now = now,
            });
            Close($"part of the rise of step {flag.Step}");
        }
        else
        {
            judged.Add(flag.Back ? Blip(flag)
                : new SpikeAlarm(flag.Step, SpikeKind.Spike,
                    $"{flag.Reason}; it came back by itself within {SpikeRule.JudgedAfter} samples"));
        }
    }

    private static SpikeAlarm Blip(OpenFlag flag) =>
        new(flag.Step, SpikeKind.Blip, $"{flag.Reason}; it was back within {SpikeRule.BackWithin} samples, so it is one batch's own");

    /// <summary>What was flagged on the way up is the same rise, and needs no judgement of its own.</summary>
    private void Close(string why)
    {
        judged.AddRange(open.Select(flag => new SpikeAlarm(flag.Step, SpikeKind.Divergence, $"{flag.Reason}; {why}")));
        open.Clear();
    }

    private void Begin(string next)
    {
        losses.Clear();
        norms.Clear();
        open.Clear();
        (regime, up, broken) = (next, false, false);
    }

    private void GoBack(long to)
    {
        losses.GoBack(to);
        norms.GoBack(to);
        open.RemoveAll(flag => flag.Step >= to);
        (up, broken) = (false, false);
    }

    private void Remember(long of)
    {
        if (flagged.Count == SpikeRule.StepsRemembered)
        {
            flagged.Dequeue();
        }

        flagged.Enqueue(of);
    }

    internal static double Median(ImmutableArray<double> values)
    {
        var sorted = values.Sort();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static string Say(double value) => value.ToString("G4", CultureInfo.InvariantCulture);
}
