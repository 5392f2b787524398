using DeepSeekOps.Decisions;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>Guesses the word that was meant.</summary>
internal static class Words
{
    /// <summary>"Did you mean 'tokens'? " where one of the words is near, and the words there are.</summary>
    public static string Suggest(string written, IEnumerable<string> known)
    {
        string[] all = [.. known];
        string? best = all.Where(word => EditDistance.IsNear(written, word)).MinBy(word => EditDistance.Between(written, word));
        string guess = best is not null ? $"Did you mean '{best}'? " : "";
        return $"{guess}There {(all.Length == 1 ? "is" : "are")}: {string.Join(", ", all)}.";
    }
}
