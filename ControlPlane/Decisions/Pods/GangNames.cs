using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Pods;

/// <summary>
/// Names of a gang's objects. They follow from run, stage, gang and node alone, so that making one twice meets itself (409), and end with
/// a hash of all of it, so that what had to be shortened or spelt otherwise is not taken for another's.
/// </summary>
public static class GangNames
{
    public const string ManagedBy = "app.kubernetes.io/managed-by";

    /// <summary>Value of <see cref="ManagedBy"/>.</summary>
    public const string Us = "deepseekops";

    public const string Instance = "deepseekops.io/instance";

    /// <summary>On each object of a gang, with <see cref="Of(GangId)"/> as its value.</summary>
    public const string Gang = "deepseekops.io/gang";

    /// <summary>
    /// On a pod that tries checkpoints, with the instance as its value. It holds no node and belongs to no stage, so that it is no leftover
    /// of a gang either.
    /// </summary>
    public const string Tries = "deepseekops.io/tries";

    /// <summary>Annotations: exact, where a label may have at most 63 characters.</summary>
    public const string Stage = "deepseekops.io/stage", Number = "deepseekops.io/gang-number", Node = "deepseekops.io/node";

    /// <summary>Names of pods become host names, which have 63 characters at most.</summary>
    private const int LengthMax = 63;

    private const int HashLength = 10;

    public static string Of(GangId gang) =>
        Name(string.Create(CultureInfo.InvariantCulture, $"{gang.Stage.Run}-{gang.Stage.Stage}-{gang.Number}"), Exact(gang));

    public static string OfPod(GangId gang, NodeId node) => Name(
        string.Create(CultureInfo.InvariantCulture, $"{gang.Stage.Run}-{gang.Stage.Stage}-{gang.Number}-{node.Name}"),
        $"{Exact(gang)}/{node.Name}");

    /// <summary>Of a pod that tries checkpoints.</summary>
    /// <param name="drawn">Another for each.</param>
    public static string OfTry(string drawn) => $"ds-try-{drawn}";

    /// <summary>Null: the object was not made by us, or somebody changed what it says.</summary>
    public static GangId? Read(IReadOnlyDictionary<string, string> annotations) =>
        annotations.TryGetValue(Stage, out string? stage) && stage.IndexOf('/', StringComparison.Ordinal) > 0
            && annotations.TryGetValue(Number, out string? text)
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? new GangId(StageId.Parse(stage), number) : null;

    private static string Exact(GangId gang) => string.Create(CultureInfo.InvariantCulture, $"{gang.Stage}/{gang.Number}");

    private static string Name(string readable, string exact)
    {
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(exact)))[..HashLength];
        var spelt = new StringBuilder("ds-");
        foreach (char c in readable.ToLowerInvariant())
        {
            spelt.Append(char.IsAsciiLetterOrDigit(c) ? c : '-');
        }

        int room = LengthMax - HashLength - 1;
        return $"{spelt.ToString()[..Math.Min(room, spelt.Length)].TrimEnd('-')}-{hash}";
    }
}
