using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>
/// Reads what lies in a stage's checkpoint folder: the manifests, and whether their files are there at their length. Their bytes are for
/// the rank that loads them. What is not named exactly as the worker names it, or cannot be read, is not a checkpoint here.
/// </summary>
internal static partial class CheckpointShelf
{
    private const string ManifestName = "manifest.json";

    /// <summary>As the worker's Manifest.BytesMax.</summary>
    private const int BytesMax = 64 << 20;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    public static StageFolder Read(string root, StageId stage)
    {
        string folder = Path.Combine(root, stage.Run, stage.Stage);
        if (!Directory.Exists(folder))
        {
            return new StageFolder(folder, []);
        }

        return new StageFolder(folder,
        [
            .. Directory.EnumerateDirectories(folder).Where(d => OurName().IsMatch(Path.GetFileName(d)))
                .Select(d => ReadOne(root, d, stage)).OfType<CheckpointOnDisk>().OrderBy(c => c.Made.Step),
        ]);
    }

    private static CheckpointOnDisk? ReadOne(string root, string path, StageId stage)
    {
        try
        {
            // Of a link the file that it leads to counts; a pipe or a device is never opened.
            string file = Path.Combine(path, ManifestName);
            if (FileSeen.At(file) is not { Kind: FileKind.Regular, Length: > 0 and <= BytesMax })
            {
                return null;
            }

            byte[] bytes = NamedFile.ReadAll(file, BytesMax);
            var manifest = JsonSerializer.Deserialize<ManifestSeen>(bytes, Json);
            return manifest is { Position: { } position, Files: { } files } && manifest.Run == stage.Run && manifest.Stage == stage.Stage
                && Path.GetFileName(path) == NameOf(position.Step) && files.All(f => Whole(path, f))
                ? new CheckpointOnDisk(
                    new CheckpointMade(position.Step, Path.GetRelativePath(root, path), bytes.Length + files.Sum(f => f.Bytes),
                        Convert.ToHexStringLower(SHA256.HashData(bytes)), position.Tokens, position.Loss, manifest.DataCursor ?? "",
                        TimeSpan.Zero, TimeSpan.Zero, File.GetLastWriteTimeUtc(file), manifest.Attempt, manifest.Final),
                    manifest.Registration ?? "")
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or BadInputException)
        {
            return null;
        }
    }

    private static bool Whole(string path, FileListed file) => file.Name is { Length: > 0 }
        && FileSeen.At(Path.Combine(path, Path.GetFileName(file.Name))) == new FileSeen(FileKind.Regular, file.Bytes);

    private static string NameOf(long step) => $"step-{step.ToString("D8", CultureInfo.InvariantCulture)}";

    [GeneratedRegex(@"\Astep-[0-9]{8,19}\z", RegexOptions.CultureInvariant)]
    private static partial Regex OurName();

    /// <summary>What the control plane reads of the worker's manifest.json.</summary>
    private sealed record ManifestSeen(
        string? Run, string? Stage, int Attempt, PositionSeen? Position, string? DataCursor, bool Final, string? Registration,
        IReadOnlyList<FileListed>? Files);

    private sealed record PositionSeen(long Step, long Tokens, double Loss);

    private sealed record FileListed(string? Name, long Bytes);
}
