using System.Collections.Immutable;

namespace DeepSeekOps.Dashboard.Words;

/// <summary>Which series of a stage say how it goes, by its kind: what a person sees who has chosen nothing.</summary>
public static class StageSeries
{
    public static ImmutableArray<string> Usual(string kind) => StageKind.Of(kind).Usual;

    /// <param name="there">Those that the stage has; empty: not known yet. No chart is drawn for ever empty.</param>
    public static ImmutableArray<string> Shown(string kind, IReadOnlyCollection<string> there) =>
        there.Count == 0 ? Usual(kind) : [.. Usual(kind).Where(there.Contains)];
}
