using System.Globalization;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Health;

/// <summary>The first number of a step that was not finite. Nothing of the step was kept.</summary>
/// <param name="What">"loss", "gradient norm", "weight model.norm.weight", "held-out loss".</param>
/// <param name="Value">"NaN" or "infinite".</param>
/// <param name="Step">The step that it ended, or that was being saved or measured.</param>
/// <param name="Batch">That step's batch, by its number in the stage's data order, from 1; 0: not known.</param>
/// <param name="MicroBatch">Where in the batch it was first seen, from 1; 0: not known, or there is but one.</param>
/// <param name="Data">Where the batch lies in the data, in words; empty: not told.</param>
/// <param name="LearningRate">Of the step; 0: not told.</param>
public sealed record NotFinite(string What, string Value, long Step, long Batch, int MicroBatch, string Data, double LearningRate)
{
    /// <summary>"the gradient norm became infinite at step 41 (micro-batch 3)".</summary>
    [JsonIgnore]
    public string Sentence => string.Create(CultureInfo.InvariantCulture,
        $"the {What} became {Value} at step {Step}{(MicroBatch > 0 ? $" (micro-batch {MicroBatch})" : "")}");

    public static string InWords(double value) => double.IsNaN(value) ? "NaN" : "infinite";
}
