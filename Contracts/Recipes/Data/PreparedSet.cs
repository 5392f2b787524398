using System.Globalization;
using System.Security.Cryptography;
using DeepSeekOps.Recipes.Files;
using DeepSeekOps.Recipes.Tokenizers;

namespace DeepSeekOps.Recipes.Data;

/// <summary>
/// A folder that `dsops data prepare` made: shards of token ids, a table of them and a manifest. Opened by submission and rank alike; what
/// opening costs does not grow with the documents, of which none is looked at before it is asked for.
/// </summary>
public sealed class PreparedSet : IDisposable
{
    public const string PlanName = "plan.json";
    public const string TokenizerName = "tokenizer.json";
    public const string Again =
        "Check the set with `dsops data check`; remove what is damaged and run the same `dsops data prepare` again.";

    /// <summary>Four times what a line may have in bytes: normalising makes longer texts.</summary>
    public const int DocumentTokensMax = 4 * DataFile.LineBytesMax;

    /// <summary>Shards that stay open: a file handle each, half of what a process has by default.</summary>
    private const int OpenMost = 512;

    /// <summary>
    /// Shards that are looked at when a set is opened, spread over all: a copy that was broken off shows, and no launch waits for more.
    /// </summary>
    private const int LookedAt = 64;

    private readonly ShardTable _table;
    private readonly Dictionary<long, (PreparedShard Shard, long First)> _open = [];
    private readonly Dictionary<long, long> _used = [];
    private long _clock;

    private PreparedSet(string folder, PreparedManifest manifest, string digest, ShardTable table) =>
        (Folder, Manifest, Digest, _table) = (folder, manifest, digest, table);

    public string Folder { get; }

    public PreparedManifest Manifest { get; }

    /// <summary>SHA-256 of the manifest: by it checkpoints know their data.</summary>
    public string Digest { get; }

    public int ManifestBytes { get; private init; }

    public static string ShardName(long number) => string.Create(CultureInfo.InvariantCulture, $"shard-{number:D6}.ids");

    /// <summary>A path that leads to a folder can only be meant as a set.</summary>
    public static bool IsMeant(string path) => FileSeen.At(path).Kind == FileKind.Folder;

    /// <exception cref="BadInputException">What is wrong with it, by file.</exception>
    /// <exception cref="IOException">It cannot be read here.</exception>
    public static PreparedSet Open(string folder)
    {
        var (manifest, digest, bytes) = PreparedManifest.Read(folder);
        var set = new PreparedSet(folder, manifest, digest, ShardTable.Open(folder, manifest)) { ManifestBytes = bytes };
        try
        {
            set.Look();
            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    /// <param name="name">As the pipeline names the tokenizer.</param>
    /// <param name="json">What that file holds; null: bytes.</param>
    /// <exception cref="BadInputException">The set was made with another one.</exception>
    public void RequireTokenizer(string name, byte[] json)
    {
        var digest = json.Length == 0 ? "" : Convert.ToHexStringLower(SHA256.HashData(json));
        if (digest != Manifest.TokenizerSha256 && !(json.Length > 0 && SaysWhatOursSays(json)))
        {
            throw new BadInputException(
                $"The set '{Folder}' was prepared with "
                    + (Manifest.TokenizerSha256.Length == 0 ? "the tokenizer byte" : "another tokenizer.json")
                    + $"; data.tokenizer is '{(name.Length == 0 ? "byte" : name)}'.",
                Manifest.TokenizerSha256.Length == 0 ? "Write 'tokenizer: byte', or prepare the data with the tokenizer that is meant."
                    : $"Write 'tokenizer: {Path.Combine(Folder, TokenizerName)}', or prepare the data with the tokenizer that is meant.");
        }
    }

    /// <summary>A file that was only formatted anew makes the same ids.</summary>
    private bool SaysWhatOursSays(byte[] json)
    {
        var own = Path.Combine(Folder, TokenizerName);
        return FileSeen.IsRegular(own) && NamedFile.ReadAll(own, TokenizerJson.BytesMax) is var copy
            && Convert.ToHexStringLower(SHA256.HashData(copy)) == Manifest.TokenizerSha256 && TokenizerJson.SameContent(copy, json);
    }

    /// <summary>Tokens of a document, without marks around it; of the shard only the index is touched.</summary>
    public int Length(long document) => At(document, out var within).Length(within);

    public int[] Tokens(long document) => At(document, out var within).Tokens(within, Manifest.VocabSize);

    /// <summary>"shard-000012.ids, document 345 (of web.jsonl)".</summary>
    public string InWords(long document)
    {
        var shard = _table.ShardOf(document);
        var source = Manifest.Sources.Last(s => s.FirstDocument <= document && s.Documents > 0);
        return string.Create(CultureInfo.InvariantCulture,
            $"{Path.Combine(Folder, ShardName(shard))}, document {document - _table[shard].FirstDocument} (of {source.Name})");
    }

    /// <summary>Reads every byte and compares it with what the manifest vouches for.</summary>
    /// <param name="told">After each shard, with the number of those that were read.</param>
    /// <exception cref="BadInputException">The first shard that differs.</exception>
    public void CheckAll(Action<long> told)
    {
        var buffer = new byte[1 << 20];
        for (long number = 0; number < _table.Count; number++)
        {
            var path = Path.Combine(Folder, ShardName(number));
            using (PreparedShard.Open(path, number, _table[number], Manifest.IdBytes))
            {
                // Its header and size are those that the table lists.
            }

            using var file = NamedFile.Open(path);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            int read;
            for (long at = ShardHeader.Bytes; (read = file.Read(buffer, at)) > 0; at += read)
            {
                hash.AppendData(buffer.AsSpan(0, read));
            }

            if (!hash.GetHashAndReset().AsSpan().SequenceEqual(_table[number].Sha256.Span))
            {
                throw new BadInputException($"'{path}' was changed since it was made: its SHA-256 is not the one in {ShardTable.FileName}.",
                    "Remove this file and run the same `dsops data prepare` again: it makes what is missing.");
            }

            told(number + 1);
        }
    }

    public void Dispose()
    {
        foreach (var (shard, _) in _open.Values)
        {
            shard.Dispose();
        }

        _open.Clear();
        _table.Dispose();
    }

    private void Look()
    {
        long next = 0;
        var step = Math.Max(1, (_table.Count - 1) / (LookedAt - 1));
        // The last one always: there the documents end.
        var last = _table.Count - 1;
        foreach (var number in Enumerable.Range(0, LookedAt).Select(i => i * step).Where(n => n < last).Append(last))
        {
            using (PreparedShard.Open(Path.Combine(Folder, ShardName(number)), number, _table[number], Manifest.IdBytes))
            {
                next = _table[number].FirstDocument + _table[number].Documents;
            }
        }

        if (next != Manifest.Documents)
        {
            throw new BadInputException(
                $"'{Path.Combine(Folder, ShardTable.FileName)}' ends at document {next:N0}, the manifest has {Manifest.Documents:N0}.",
                Again);
        }
    }

    private PreparedShard At(long document, out long within)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)document, (ulong)Manifest.Documents, nameof(document));
        var number = _table.ShardOf(document);
        if (!_open.TryGetValue(number, out var found))
        {
            if (_open.Count == OpenMost)
            {
                var oldest = _used.MinBy(u => u.Value).Key;
                _open[oldest].Shard.Dispose();
                _open.Remove(oldest);
                _used.Remove(oldest);
            }

            var entry = _table[number];
            found = (PreparedShard.Open(Path.Combine(Folder, ShardName(number)), number, entry, Manifest.IdBytes), entry.FirstDocument);
            _open.Add(number, found);
        }

        _used[number] = ++_clock;
        within = document - found.First;
        return found.Shard;
    }
}
