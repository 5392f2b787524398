using System.Security.Cryptography;
using System.Text.Json;

namespace DeepSeekOps.Worker.Data.Preparing;

/// <param name="Modified">Ticks of UTC: a file that was written since is another one.</param>
/// <param name="Parts">Each makes a shard.</param>
internal sealed record PlannedFile(string Path, long Bytes, long Modified, int Parts);

/// <param name="Path">As it was named.</param>
internal sealed record PlannedSource(string Name, string Path, IReadOnlyList<PlannedFile> Files);

/// <summary>
/// What is prepared, cut into parts that do not hang on how many work at it: whoever makes a part, and whenever, makes the same bytes.
/// Written before the first shard, so that a later call knows whether it goes on with the same.
/// </summary>
internal sealed record PreparePlan(
    int Format, string Tokenizer, string TokenizerSha256, int VocabSize, int IdBytes, long PartBytes, IReadOnlyList<PlannedSource> Sources)
{
    private const int CurrentFormat = 1;
    private const long Mebi = 1 << 20;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public IEnumerable<(PlannedSource Source, PlannedFile File, int Part)> Parts =>
        from source in Sources from file in source.Files from part in Enumerable.Range(0, file.Parts) select (source, file, part);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    public static byte[] DigestOf(ReadOnlySpan<byte> plan) => SHA256.HashData(plan);

    public static string SumOf(byte[] tokenizer) => Convert.ToHexStringLower(SHA256.HashData(tokenizer));

    /// <exception cref="BadInputException">A source is not there, is empty or is of a kind that is not read.</exception>
    public static PreparePlan Of(IReadOnlyList<string> sources, ITokenizer tokenizer)
    {
        var found = sources.Select(source => (Source: source, Files: FilesOf(source))).ToList();
        // A thousand parts, so that a kill costs little and all cores have work to the end; yet few enough shards at any size.
        var partBytes = Math.Clamp(found.Sum(s => s.Files.Sum(f => f.Bytes)) / 1024 / Mebi * Mebi, 16 * Mebi, 1024 * Mebi);
        return new PreparePlan(
            CurrentFormat, tokenizer.Json is null ? "byte" : PreparedSet.TokenizerName,
            tokenizer.Json is { } json ? SumOf(json) : "", tokenizer.VocabSize,
            tokenizer.VocabSize <= 1 << 16 ? 2 : 4, partBytes,
            [
                .. found.Select(s => new PlannedSource(NameOf(s.Source), s.Source,
                    [.. s.Files.Select(f => f with { Parts = PartsOf(f, partBytes) })])),
            ]);
    }

    /// <summary>Null: it is the same. Else what the folder's plan has, and what is asked for.</summary>
    public static string? Difference(byte[] before, byte[] now)
    {
        if (before.AsSpan().SequenceEqual(now))
        {
            return null;
        }
        PreparePlan? was;
        try
        {
            was = JsonSerializer.Deserialize<PreparePlan>(before, Json);
        }
        catch (JsonException)
        {
            return "its plan cannot be read";
        }
        var wanted = JsonSerializer.Deserialize<PreparePlan>(now, Json)!;
        if (was is not { Format: CurrentFormat, Sources: not null })
        {
            return "another version made its plan";
        }
        if (was.TokenizerSha256 != wanted.TokenizerSha256)
        {
            return "it is of another tokenizer";
        }
        if (!was.Sources.Select(s => s.Path).SequenceEqual(wanted.Sources.Select(s => s.Path)))
        {
            return $"it was begun from {string.Join(", ", was.Sources.Select(s => $"'{s.Path}'"))}";
        }
        var (old, files) = (was.Sources.SelectMany(s => s.Files).ToList(), wanted.Sources.SelectMany(s => s.Files).ToList());
        return files.Except(old).FirstOrDefault() is { } changed ? $"'{changed.Path}' is new, or was changed since it was begun"
            : old.Except(files).FirstOrDefault() is { } gone ? $"'{gone.Path}' belongs to it, and is no longer there"
            : "its parts are others";
    }

    private static string NameOf(string source) =>
        Path.GetFileName(Path.TrimEndingDirectorySeparator(source)) is { Length: > 0 } name ? name : source;

    private static List<PlannedFile> FilesOf(string source)
    {
        DataSource.RequireLocal(source);
        var seen = FileSeen.At(source);
        switch (seen.Kind)
        {
            case FileKind.Missing or FileKind.Dangling:
                throw new BadInputException($"There is no file or folder '{source}'.", "Correct the path.");
            case FileKind.Regular:
                _ = PartTexts.KindOf(source);
                return [Seen(source)];
            case FileKind.Folder:
                // By their names, whatever the order in which a file system lists them.
                List<PlannedFile> files = [.. Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories)
                    .Where(path => PartTexts.IsRead(path)).Order(StringComparer.Ordinal).Select(Seen)];
                return files.Count > 0 ? files : throw new BadInputException(
                    $"'{source}' is a folder without .jsonl, .txt or .parquet files.", "Name a folder that has them, or the files.");
            default:
                throw NamedFile.WhyNot(source, seen);
        }
    }

    /// <summary>Of a link the size and time of what it leads to count.</summary>
    private static PlannedFile Seen(string path)
    {
        var seen = FileSeen.At(path);
        return seen.Kind == FileKind.Regular
            ? new PlannedFile(Path.GetFullPath(path), seen.Length,
                File.GetLastWriteTimeUtc(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path).Ticks, Parts: 1)
            : throw NamedFile.WhyNot(path, seen);
    }

    private static int PartsOf(PlannedFile file, long partBytes) => PartTexts.KindOf(file.Path) == PartKind.Parquet
        ? Math.Max(1, ParquetTexts.RowGroups(file.Path)) : (int)Math.Max(1, (file.Bytes + partBytes - 1) / partBytes);
}
