namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>Guesses the word that was meant.</summary>
internal static class Words
{
    /// <summary>"Did you mean 'tokens'? " where one of the words is near, and the words there are.</summary>
    public static string Suggest(string written, IEnumerable<string> known)
    {
        string[] all = [.. known];
        string? best = all.Length == 0 || written.Length > 60 ? null : all.MinBy(word => Distance(written, word));
        string guess = best is not null && Distance(written, best) <= Math.Max(1, best.Length / 3) ? $"Did you mean '{best}'? " : "";
        return $"{guess}There {(all.Length == 1 ? "is" : "are")}: {string.Join(", ", all)}.";
    }

    /// <summary>Letters to add, drop, change or swap with their neighbour (optimal string alignment), whatever their case.</summary>
    internal static int Distance(string left, string right)
    {
        var (a, b) = (left.ToLowerInvariant(), right.ToLowerInvariant());
        int[,] cost = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            cost[i, 0] = i;
        }
        for (int j = 0; j <= b.Length; j++)
        {
            cost[0, j] = j;
        }
        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                int change = cost[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                cost[i, j] = Math.Min(change, Math.Min(cost[i - 1, j], cost[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
                }
            }
        }
        return cost[a.Length, b.Length];
    }
}
