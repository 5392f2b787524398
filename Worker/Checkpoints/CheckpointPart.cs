using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>What one rank writes of a checkpoint. The checkpoint is there when each of <paramref name="Of"/> parts is.</summary>
public sealed partial record CheckpointPart(int Rank, int Of)
{
    public static readonly CheckpointPart Only = new(0, 1);

    /// <summary>Written last of the part's files, at once and whole: where it is, all that it lists is.</summary>
    public string ListName => $"part.{Name}.json";

    private string Name => $"rank-{Rank}-of-{Of}";

    /// <summary>The part's file of so-named tensors. That of an only part has the name by which others look for weights.</summary>
    /// <param name="file">"model.safetensors"</param>
    public string FileOf(string file) => Of == 1 ? file : $"{Path.GetFileNameWithoutExtension(file)}.{Name}{Path.GetExtension(file)}";

    /// <summary>
    /// Which of so many ranks sends a checkpoint's file to the store: the one that wrote it, or where ranks are fewer now, one that has
    /// its place. What all ranks share is dealt in the order of the list.
    /// </summary>
    public static int SenderOf(string file, int place, int ranks) =>
        (RankOf().Match(file) is { Success: true } match && int.TryParse(match.Groups[1].ValueSpan, out var rank) ? rank : place) % ranks;

    [GeneratedRegex(@"\.rank-([0-9]{1,6})-of-[0-9]{1,6}\.", RegexOptions.CultureInvariant)]
    private static partial Regex RankOf();

    public bool Owns(string file) => Of == 1 || file.Contains($".{Name}.", StringComparison.Ordinal);
}

/// <summary>A tensor of a checkpoint, or a piece of one, as a part holds it.</summary>
/// <param name="Of">The file that the whole tensor would stand in: "model.safetensors".</param>
/// <param name="Shape">Of the whole tensor.</param>
public sealed record PartTensor(string Of, string Name, IReadOnlyList<long> Shape, string File)
{
    /// <summary>Where in the whole the piece begins; null: it is the whole.</summary>
    public IReadOnlyList<long>? Offset { get; init; }

    /// <summary>How far the piece goes along each dimension.</summary>
    public IReadOnlyList<long>? Extent { get; init; }

    /// <summary>The piece lies in the tensor that it is a piece of.</summary>
    [JsonIgnore]
    public bool Within =>
    (Offset is null && Extent is null)
        || (Offset is { } offset && Extent is { } extent && offset.Count == Shape.Count && extent.Count == Shape.Count
        && Enumerable.Range(0, Shape.Count).All(i => offset[i] >= 0 && extent[i] >= 0 && offset[i] <= Shape[i] - extent[i]));
}

/// <summary>What a part holds: its files with their digests, and the tensors in them.</summary>
public sealed record PartList(int Rank, int Of, int Attempt, long Step, IReadOnlyList<ManifestFile> Files,
    IReadOnlyList<PartTensor> Tensors)
{
    /// <summary>V3 has 45,000 weights and three numbers of the optimizer's to each: 180,000 lines of some 150 bytes in one part.</summary>
    private const int BytesMax = 64 << 20;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    /// <exception cref="RefusedCheckpointException">It is not there, or cannot be understood.</exception>
    public static PartList Read(string path)
    {
        if (FileSeen.At(path) is not { Kind: FileKind.Regular, Length: > 0 and <= BytesMax })
        {
            throw new RefusedCheckpointException($"{path} is missing, or is not a list of a part");
        }
        try
        {
            return JsonSerializer.Deserialize<PartList>(NamedFile.ReadAll(path, BytesMax), Json)
                is { Files: not null, Tensors: not null } list ? list
                : throw new RefusedCheckpointException($"{path} lists no files and tensors");
        }
        catch (JsonException e)
        {
            throw new RefusedCheckpointException($"{path} is not JSON: {e.Message}", e);
        }
    }
}
