using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Tracing;

/// <summary>What the ranks of an attempt are asked to record.</summary>
/// <param name="Id">Milliseconds since 1970 at which it was asked for: grows, also over a restart of the control plane.</param>
/// <param name="SpansMax">Of one rank.</param>
/// <param name="Ranks">Whose spans are wanted; of all others the sums are.</param>
public sealed record TraceOrder(long Id, int Attempt, int Steps, int SpansMax, ImmutableArray<int> Ranks)
{
    /// <summary>Ours: what a person looks at; more are not more to see.</summary>
    public const int StepsMax = 10;

    /// <summary>
    /// So many ranks are all drawn: two nodes of eight. Of more there is one for each place in the pipeline, and the slowest: those that
    /// hold the same layers make the same calls on other rows, and a drawing of 2,048 lines shows nothing.
    /// </summary>
    public const int RanksInFull = 16;

    /// <summary>A deeper pipeline is drawn by places that lie evenly in it. DeepSeek-V3's has 16.</summary>
    public const int PlacesMax = 32;

    /// <summary>Of all ranks together: 8 MB as a file of Chrome's. Two steps of DeepSeek-V3 have some 4,000 on a rank.</summary>
    private const int SpansInAll = 65_536;

    private const int SpansOfRank = 16_384;

    /// <param name="ranks">Of the whole gang.</param>
    public static TraceOrder New(long id, int attempt, int steps, int ranks, ParallelLayout layout)
    {
        var wanted = Drawn(ranks, layout);
        int rows = wanted.Length < ranks ? wanted.Length + 1 : wanted.Length;
        return new TraceOrder(id, attempt, steps, Math.Min(SpansOfRank, SpansInAll / rows), wanted);
    }

    private static ImmutableArray<int> Drawn(int ranks, ParallelLayout layout)
    {
        if (ranks <= RanksInFull)
        {
            return [.. Enumerable.Range(0, ranks)];
        }

        int places = Math.Max(1, layout.Pipeline);
        int drawn = Math.Min(places, PlacesMax);
        return [.. Enumerable.Range(0, drawn).Select(i => (int)((long)i * places / drawn) * (ranks / places))];
    }
}
