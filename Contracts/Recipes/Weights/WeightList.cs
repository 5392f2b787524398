using System.Text.Json;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Weights;

/// <summary>A tensor of a folder of weights: its file and its place there.</summary>
public sealed record ListedTensor(string File, TensorEntry Entry);

/// <summary>
/// Which files a published checkpoint consists of, and what tensors they hold: model.safetensors, or else the shards that
/// model.safetensors.index.json lists, as transformers looks for them.
/// </summary>
public sealed class WeightList
{
    public const string Single = "model.safetensors";
    public const string Index = "model.safetensors.index.json";

    /// <summary>DeepSeek-V3's index has 9 MB.</summary>
    private const int IndexBytesMax = 100_000_000;

    private WeightList(string folder, IReadOnlyDictionary<string, ListedTensor> tensors, string? note) =>
        (Folder, Tensors, Note) = (folder, tensors, note);

    public string Folder { get; }

    public IReadOnlyDictionary<string, ListedTensor> Tensors { get; }

    /// <summary>What was left aside, for people; null where nothing was.</summary>
    public string? Note { get; }

    /// <param name="only">The one file to read, or those that its index names; null: the checkpoint's own.</param>
    /// <exception cref="CheckpointFormatException">No checkpoint there, or a damaged one.</exception>
    public static WeightList Read(string folder, string? only = null)
    {
        var index = Path.Combine(folder, IndexOf(only ?? Single));
        if (only is not null ? !IsThere(index) : IsThere(Path.Combine(folder, Single)))
        {
            var file = only ?? Single;
            var note = only is null && IsThere(index)
                ? $"'{folder}' has both {Single} and {Index}: {Single} is read, as transformers does, and the index is not." : null;
            var tensors = SafetensorsHeader.Read(Path.Combine(folder, file)).Tensors;
            return new WeightList(folder, tensors.ToDictionary(t => t.Key, t => new ListedTensor(file, t.Value)), note);
        }

        return IsThere(index) ? new WeightList(folder, Sharded(folder, index), null)
            : throw LeadsNowhere(folder, Single) ?? LeadsNowhere(folder, Index) ?? new CheckpointFormatException(
                $"'{folder}' has neither {Single} nor {Index}.",
                $"Name the folder of a checkpoint: config.json with {Single}, or with {Index} and its shards.");
    }

    /// <summary>The list of which tensor is in which file, where one file's tensors stand in several.</summary>
    public static string IndexOf(string file) => $"{file}.index.json";

    /// <summary>The text by which the list is known again: the header of the single file, or the index.</summary>
    public static byte[] Identity(string folder) =>
        IsThere(Path.Combine(folder, Single)) ? SafetensorsHeader.Read(Path.Combine(folder, Single)).Json
        : IsThere(Path.Combine(folder, Index)) ? NamedFile.ReadAll(Path.Combine(folder, Index), IndexBytesMax) : [];

    private static Dictionary<string, ListedTensor> Sharded(string folder, string index)
    {
        var tensors = new Dictionary<string, ListedTensor>(StringComparer.Ordinal);
        var headers = new Dictionary<string, SafetensorsHeader>(StringComparer.Ordinal);
        foreach (var (tensor, shard) in Placed(index))
        {
            if (!headers.TryGetValue(shard, out var header))
            {
                headers[shard] = header = IsThere(Path.Combine(folder, shard)) ? SafetensorsHeader.Read(Path.Combine(folder, shard))
                    : throw LeadsNowhere(folder, shard) ?? new CheckpointFormatException(
                        $"The shard {shard} that {index} lists is missing.", "Copy the checkpoint again.");
            }

            tensors[tensor] = header.Tensors.TryGetValue(tensor, out var entry) ? new ListedTensor(shard, entry)
                : throw new CheckpointFormatException($"{index} places {tensor} in {shard}, which does not have it.",
                    "Copy the checkpoint again.");
        }

        return tensors;
    }

    private static List<(string Tensor, string Shard)> Placed(string index)
    {
        List<(string Tensor, string Shard)> placed;
        try
        {
            using var json = JsonDocument.Parse(JsonText.WithoutMark(NamedFile.ReadAll(index, IndexBytesMax)), JsonText.Strict);
            JsonText.Require(json.RootElement.ValueKind == JsonValueKind.Object, "it is not a JSON object");
            placed = [.. JsonText.Object(json.RootElement, "weight_map").EnumerateObject()
                .Select(m => (m.Name, m.Value.ValueKind == JsonValueKind.String ? m.Value.GetString() ?? "" : ""))];
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            throw new CheckpointFormatException(
                $"{index} has no readable weight_map ({(e is FormatException ? e.Message : JsonText.NotJson)}).",
                "Copy the checkpoint again.");
        }

        // An index names files beside it, never a path that leads elsewhere.
        return placed.Find(p => p.Shard.Length == 0 || p.Shard is "." or ".." || Path.GetFileName(p.Shard) != p.Shard)
            is { Tensor: not null } outside
            ? throw new CheckpointFormatException($"{index} names '{outside.Shard}', which is not a file beside it.",
                "Copy the checkpoint again.")
            : placed;
    }

    /// <summary>The hub's cache has links: a copy of them without what they lead to is no copy. Null: no such link.</summary>
    private static CheckpointFormatException? LeadsNowhere(string folder, string file) =>
        FileSeen.At(Path.Combine(folder, file)) is { Kind: FileKind.Dangling, Target: var target }
            ? new CheckpointFormatException($"'{Path.Combine(folder, file)}' is a link to '{target}', which is not there.",
                "Copy what the links lead to, for example with `cp -rL`, or finish the download.")
            : null;

    private static bool IsThere(string path) => FileSeen.At(path).Kind is not (FileKind.Missing or FileKind.Dangling);
}
