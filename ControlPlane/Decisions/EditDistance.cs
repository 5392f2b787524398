namespace DeepSeekOps.Decisions;

/// <summary>How far a written word is from one that is known: one measure for verbs, keys, names and values.</summary>
public static class EditDistance
{
    private const int LengthMax = 64;

    /// <summary>Letters to add, drop, change or swap with their neighbour (optimal string alignment), whatever their case.</summary>
    public static int Between(string left, string right)
    {
        var (a, b) = (Comparable(left), Comparable(right));
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

    /// <summary>Near enough to be meant: about a third of the letters may differ, two of five, and one of a short word.</summary>
    public static bool IsNear(string written, string known) =>
        Between(written, known) <= Math.Max(1, (Math.Min(written.Length, LengthMax) + 1) / 3);

    /// <summary>The table of costs grows with the product of both lengths, and what is written comes from outside.</summary>
    private static string Comparable(string text) => (text.Length <= LengthMax ? text : text[..LengthMax]).ToLowerInvariant();
}
