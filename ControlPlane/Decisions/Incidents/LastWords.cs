using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>Two accounts of what a rank printed last: its log may lack the end, and its agent's lacks the beginning.</summary>
public static class LastWords
{
    /// <returns>The last <see cref="Evidence.LinesKept"/> lines, each once where the two overlap.</returns>
    public static ImmutableArray<string> Of(ImmutableArray<string> log, ImmutableArray<string> agent)
    {
        ImmutableArray<string> before = [.. log.Select(Cut)], last = [.. agent.Select(Cut)];
        int overlap = Math.Min(before.Length, last.Length);
        while (overlap > 0 && !before.AsSpan()[^overlap..].SequenceEqual(last.AsSpan()[..overlap]))
        {
            overlap--;
        }

        // A log that is ahead has all of it already.
        bool ahead = overlap == 0 && last.Length > 0 && before.AsSpan().IndexOf(last.AsSpan()) >= 0;
        return [.. (ahead ? before : before.AddRange(last.AsSpan()[overlap..])).TakeLast(Evidence.LinesKept)];
    }

    internal static string Cut(string line) =>
        line.Length <= Evidence.LineLengthMax ? line : line[..Evidence.LineLengthMax] + "…";
}
