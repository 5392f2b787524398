namespace DeepSeekOps.Worker.Data;

/// <summary>
/// Fill-in-the-middle at document level, prefix-suffix-middle (report section 4.1):
/// begin, prefix, hole, suffix, end, middle. The caller adds the end-of-document token.
/// </summary>
public static class FillInTheMiddle
{
    private const int Shortest = 3;

    /// <summary>Tokens that rearranging adds to a document of so many: too short a one stays as it is.</summary>
    public static int MarksIn(int count) => count < Shortest ? 0 : 3;

    public static IReadOnlyList<int> Rearrange(IReadOnlyList<int> document, SpecialTokens special, ref SeededRandom random)
    {
        if (document.Count < Shortest)
        {
            return document;
        }
        var first = random.Next(1, document.Count - 1);
        var second = random.Next(first + 1, document.Count);
        var ids = new List<int>(document.Count + 3) { special.FimBegin };
        ids.AddRange(document.Take(first));
        ids.Add(special.FimHole);
        ids.AddRange(document.Skip(second));
        ids.Add(special.FimEnd);
        ids.AddRange(document.Skip(first).Take(second - first));
        return ids;
    }
}
