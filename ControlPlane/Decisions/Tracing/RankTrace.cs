using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Decisions.Tracing;

/// <summary>What one rank recorded of some steps.</summary>
/// <param name="Id">Of the order.</param>
/// <param name="Clock">Ranks that name the same one share it.</param>
/// <param name="Together">
/// Nanoseconds of that clock, before the first step and after each, at which a call of all ranks ended.
/// </param>
public sealed record RankTrace(
    long Id, int Attempt, int Rank, string Clock, ImmutableArray<RankStep> Steps, ImmutableArray<long> Together)
{
    /// <summary>Null: not asked for, or not come yet.</summary>
    public RankSpans? Spans { get; init; }
}

/// <summary>What a rank did, span by span, column by column, in the order in which they began.</summary>
/// <param name="From">Nanoseconds.</param>
/// <param name="Names">"forward: micro-batch 0, piece 1".</param>
/// <param name="Name">Places in <paramref name="Names"/>.</param>
/// <param name="Began">Microseconds since <paramref name="From"/>.</param>
/// <param name="Took">Microseconds.</param>
/// <param name="LeftOut">Spans that were too many.</param>
public sealed record RankSpans(
    long From, ImmutableArray<string> Names, ImmutableArray<int> Name, ImmutableArray<long> Began, ImmutableArray<long> Took, int LeftOut)
{
    [JsonIgnore]
    public int Count => Name.Length;

    public IEnumerable<Span> Each()
    {
        for (int i = 0; i < Count; i++)
        {
            string[] words = Names[Name[i]].Split(": ", 2);
            long began = From + (Began[i] * 1000);
            yield return new Span(words[0], words.Length > 1 ? words[1] : "", began, began + (Took[i] * 1000));
        }
    }
}
