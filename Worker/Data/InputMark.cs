using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// What a file that a stage learns from held when a launch read it. A checkpoint names these, and the launch that goes on from it holds
/// its own beside them: where a document lies is counted, so that another file of the same name is another order of all documents.
/// </summary>
/// <param name="Sha256">Hex, of all bytes: copies of a file in other places and of other times are the same.</param>
public sealed record InputMark(string Path, long Bytes, string Sha256)
{
    /// <summary>
    /// SHA-256 of what the file says, for one that says the same however it is formatted: a tokenizer.json. Null: its bytes are what it
    /// says, or the checkpoint was made before this was told.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Content { get; init; }

    /// <param name="says">Of what it says, where that is not its bytes.</param>
    public static InputMark Of(string path, byte[] content, string? says = null) =>
        new(path, content.Length, Convert.ToHexStringLower(SHA256.HashData(content))) { Content = says };

    /// <summary>Whether who reads the one learns what who reads the other does.</summary>
    public bool SaysTheSame(InputMark other) => Sha256 == other.Sha256 || (Content is not null && Content == other.Content);

    /// <summary>What is not as it was, a clause each. A checkpoint that knows nothing of its data has nothing to say.</summary>
    public static IEnumerable<string> Differences(IReadOnlyList<InputMark> before, IReadOnlyList<InputMark> now)
    {
        if (before.Count > 0 && before.Count != now.Count)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"there were {before.Count} data files, there are {now.Count}");
        }
        foreach (var (was, has) in before.Zip(now).Where(p => !p.First.SaysTheSame(p.Second)))
        {
            yield return was.Path != has.Path ? $"{Name(has)} stands in the place of {Name(was)}"
                : was.Bytes != has.Bytes ? $"{Name(has)} has {Size(has)} bytes, it had {Size(was)}"
                : $"{Name(has)} has other content in as many bytes ({Size(has)})";
        }
    }

    /// <summary>For ranks to find out whether all of them read the same.</summary>
    public static long Sum(IEnumerable<InputMark> marks)
    {
        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var mark in marks)
        {
            sum.AppendData(Convert.FromHexString(mark.Content ?? mark.Sha256));
        }
        return BitConverter.ToInt64(sum.GetHashAndReset());
    }

    public override string ToString() => $"{Path} ({Size(this)} bytes, SHA-256 {Sha256[..12]}…)";

    /// <summary>Of a prepared set with its folder: all of them have a manifest of one name.</summary>
    private static string Name(InputMark mark) => System.IO.Path.GetFileName(mark.Path) is not PreparedManifest.FileName and var name ? name
        : System.IO.Path.Combine(
            System.IO.Path.GetFileName(System.IO.Path.GetDirectoryName(mark.Path)) ?? "", PreparedManifest.FileName);

    private static string Size(InputMark mark) => mark.Bytes.ToString("#,0", CultureInfo.InvariantCulture);
}
