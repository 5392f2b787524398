namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Names that somebody may have meant.</summary>
internal static class Nearest
{
    private const int LengthMax = 64;

    /// <summary>The nearest first; none that has little in common with the word.</summary>
    public static IEnumerable<string> To(string word, IEnumerable<string> names)
    {
        string meant = Cut(word);
        return names.Select(name => (name, distance: Distance(meant, Cut(name))))
            .Where(near => near.distance <= Math.Max(1, meant.Length / 3) || near.name.Contains(word, StringComparison.OrdinalIgnoreCase))
            .OrderBy(near => near.distance).ThenBy(near => near.name, StringComparer.Ordinal)
            .Select(near => near.name);
    }

    private static string Cut(string text) => text.Length <= LengthMax ? text : text[..LengthMax];

    /// <summary>Levenshtein's distance: insertions, deletions and replacements of single characters.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replaced = diagonal + (char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.Length];
    }
}
