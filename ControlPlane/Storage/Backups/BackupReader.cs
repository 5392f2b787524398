using System.IO.Compression;
using System.Text.Json;
using DeepSeekOps.Decisions.Backups;

namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>Reads a file of parts: once to see that all of it is as it was written, then for what is in it.</summary>
internal sealed class BackupReader : IDisposable
{
    internal const string Another = "Use another copy of it, or write it again; nothing was changed by this one.";

    private readonly Stream file;
    private readonly BackupFile kind;

    /// <param name="kind">Null: a whole backup.</param>
    public BackupReader(Stream file, BackupFile? kind = null)
    {
        (this.file, this.kind) = (file, kind ?? BackupFile.Whole);
        this.kind.DemandFirstLine(file);
    }

    /// <inheritdoc cref="Verify{T}"/>
    public BackupManifest Verify(CancellationToken cancellation) => Verify<BackupManifest>(cancellation);

    /// <summary>Reads all of it.</summary>
    /// <exception cref="BackupUnusableException">It is not as it was written; the message says which part.</exception>
    public T Verify<T>(CancellationToken cancellation) where T : class, IListsParts
    {
        file.Position = kind.FirstLine.Length;
        var seen = new List<(string Name, string Digest)>();
        while (true)
        {
            using var part = new PartReader(file, seen.Count == 0 ? "its first line" : $"its part {seen[^1].Name}");
            if (part.Name == BackupFile.ManifestName)
            {
                var manifest = Manifest<T>(part, cancellation);
                Demand(manifest, seen);
                return manifest;
            }

            part.ReadToEnd(cancellation);
            seen.Add((part.Name, part.Digest));
        }
    }

    /// <summary>Tables in the order of the file, after <see cref="Verify"/>.</summary>
    /// <param name="read">Is given a table's columns and its rows, and reads all of them.</param>
    public async Task Tables(Func<string, RowReader, Task> read, CancellationToken cancellation)
    {
        file.Position = kind.FirstLine.Length;
        for (string before = "its first line"; ;)
        {
            await using var part = new PartReader(file, before);
            if (part.Name == BackupFile.ManifestName)
            {
                return;
            }

            try
            {
                await using var content = new BrotliStream(part, CompressionMode.Decompress, leaveOpen: true);
                using var rows = new RowReader(content);
                await read(part.Name, rows);
            }
            catch (Exception e) when (e is InvalidDataException or EndOfStreamException or JsonException)
            {
                throw part.Changed(e);
            }

            part.ReadToEnd(cancellation);
            before = $"its part {part.Name}";
        }
    }

    public void Dispose() => file.Dispose();

    private static T Manifest<T>(PartReader part, CancellationToken cancellation) where T : class
    {
        // Nothing is unpacked before its digest was compared.
        using var packed = new MemoryStream();
        part.CopyTo(packed);
        cancellation.ThrowIfCancellationRequested();
        packed.Position = 0;
        try
        {
            using var content = new BrotliStream(packed, CompressionMode.Decompress);
            return JsonSerializer.Deserialize<T>(content, LedgerJson.Options) ?? throw part.Changed();
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or JsonException)
        {
            throw part.Changed(e);
        }
    }

    private void Demand(IListsParts manifest, List<(string Name, string Digest)> seen)
    {
        if (manifest.Parts.IsDefault || !manifest.Parts.Select(p => (p.Name, p.Digest)).SequenceEqual(seen))
        {
            throw new BackupUnusableException("its parts are not those that its manifest lists", Another);
        }

        if (file.Position != file.Length)
        {
            throw new BackupUnusableException($"{file.Length - file.Position} bytes follow its end", Another);
        }
    }
}
