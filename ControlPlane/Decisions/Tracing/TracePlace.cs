using System.Globalization;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Tracing;

/// <summary>Where a rank stands in its gang's layout, each counted from 0: as the worker's GangLayout numbers them.</summary>
/// <param name="Pipeline">Which layers it has.</param>
/// <param name="Data">Which rows of each batch it takes.</param>
/// <param name="Expert">Which routed experts of its layers it has.</param>
public readonly record struct TracePlace(int Pipeline, int Data, int Expert)
{
    /// <summary>Which part of each sequence it has; null where ranks do not share sequences.</summary>
    public int? Context { get; init; }

    /// <param name="context">Ranks that share one sequence.</param>
    public static TracePlace Of(int rank, int ranks, ParallelLayout layout, int context = 1)
    {
        int within = Math.Max(1, ranks / Math.Max(1, layout.Pipeline));
        int data = rank % within / Math.Max(1, layout.Tensor);
        return new TracePlace(rank / within, data / Math.Max(1, context), rank % within % Math.Max(1, layout.Expert))
        {
            Context = context > 1 ? data % context : null,
        };
    }

    [JsonIgnore]
    public string InWords => string.Create(
        CultureInfo.InvariantCulture, $"pp {Pipeline}, dp {Data}, ep {Expert}{(Context is { } part ? $", cp {part}" : "")}");
}
