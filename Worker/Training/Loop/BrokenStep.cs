using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>Says which number of a step is not finite: the cause before what is made of it.</summary>
internal static class BrokenStep
{
    private const int PlacesTold = 6;

    private static readonly Dictionary<string, string> Words = new()
    {
        ["reward"] = "reward", ["kl"] = "distance to the reference model (kl)", ["mtp_loss"] = "multi-token loss",
        ["balance_loss"] = "balance loss",
        ["teacher_kl"] = "distance to the teacher (teacher_kl)",
    };

    /// <summary>Null: all of them are finite.</summary>
    public static NotFinite? Of(StepResult result, double loss, double norm)
    {
        var causes = result.Extra.Where(e => e.Key is "reward" or "kl").ToList();
        (string What, double Value)[] numbers =
        [
            .. causes.Select(Named), ("loss", loss), .. result.Extra.Except(causes).Select(Named), ("gradient norm", norm),
        ];
        return numbers.FirstOrDefault(n => !double.IsFinite(n.Value)) is not { What: { } what } found ? null
            : new NotFinite { What = what, Value = found.Value, MicroBatch = MicroBatch(result), LearningRate = result.LearningRate };
    }

    /// <summary>"a.jsonl, line 3; a.jsonl, line 9 and 14 more".</summary>
    public static string InWords(IEnumerable<string> places)
    {
        string[] all = [.. places.Distinct()];
        return string.Join("; ", all.Take(PlacesTold)) + (all.Length > PlacesTold ? $" and {all.Length - PlacesTold} more" : "");
    }

    private static (string, double) Named(KeyValuePair<string, double> extra) =>
        (Words.GetValueOrDefault(extra.Key, extra.Key), extra.Value);

    private static int MicroBatch(StepResult result)
    {
        for (var i = 0; i < result.MicroBatches.Count; i++)
        {
            if (!double.IsFinite(result.MicroBatches[i].ToDouble()))
            {
                return i + 1;
            }
        }
        return 0;
    }
}
