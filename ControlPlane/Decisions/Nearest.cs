namespace DeepSeekOps.Decisions;

/// <summary>Names that somebody may have meant.</summary>
public static class Nearest
{
    /// <summary>The nearest first; none that has little in common with the word.</summary>
    public static IEnumerable<string> To(string word, IEnumerable<string> names) => names
        .Where(name => EditDistance.IsNear(word, name) || name.Contains(word, StringComparison.OrdinalIgnoreCase))
        .OrderBy(name => EditDistance.Between(word, name)).ThenBy(name => name, StringComparer.Ordinal);
}
