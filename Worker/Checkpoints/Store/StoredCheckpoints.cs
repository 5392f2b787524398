using System.Globalization;
using System.Text.RegularExpressions;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Worker.Checkpoints.Store;

/// <summary>
/// The checkpoints of a store: RUN/STAGE/step-N-DIGEST/ with a checkpoint's files, and last its manifest. Named by its manifest's digest,
/// nothing whole is ever written over, and what has no manifest is none.
/// </summary>
internal sealed partial class StoredCheckpoints(ObjectStore objects)
{
    /// <summary>In a folder whose bytes a launch would not load: why.</summary>
    public const string RefusalName = "refused.txt";

    private const int DigestShown = 16;
    private const int ManifestMost = 64 << 20;
    private readonly Dictionary<string, CheckpointSeen> _read = [];

    public ObjectStore Objects => objects;

    public static string FolderOf(string run, string stage, long step, string digest) =>
        $"{run}/{stage}/step-{step.ToString("D8", CultureInfo.InvariantCulture)}-{digest[..DigestShown]}";

    public static string FolderOf(CheckpointSeen seen) =>
        FolderOf(seen.Manifest.Run, seen.Manifest.Stage, seen.Step, seen.Digest);

    /// <summary>What is in a folder.</summary>
    public async Task<Dictionary<string, StoredObject>> FilesOf(string folder, CancellationToken cancellation) =>
        (await objects.List($"{folder}/", cancellation)).ToDictionary(o => o.Key[(folder.Length + 1)..], StringComparer.Ordinal);

    /// <summary>Every folder of a stage under one of our names, as it is there.</summary>
    public async Task<List<StoredFolder>> Look(string run, string stage, CancellationToken cancellation)
    {
        string under = $"{run}/{stage}/";
        var folders = (await objects.List(under, cancellation)).Select(o => (Object: o, Path: o.Key[under.Length..].Split('/', 2)))
            .Where(o => o.Path.Length == 2 && OurName().IsMatch(o.Path[0])).ToLookup(o => o.Path[0]);
        var seen = new List<StoredFolder>();
        foreach (var folder in folders)
        {
            var files = folder.ToDictionary(o => o.Path[1], o => o.Object, StringComparer.Ordinal);
            seen.Add(new StoredFolder(under + folder.Key, files,
                files.ContainsKey(Manifest.FileName) ? await Read(under + folder.Key, files, cancellation) : null));
        }
        return seen;
    }

    /// <summary>Null: it cannot be understood, or is not what its folder's name says.</summary>
    private async Task<CheckpointSeen?> Read(string folder, Dictionary<string, StoredObject> files, CancellationToken cancellation)
    {
        if (!_read.TryGetValue(folder, out var seen))
        {
            byte[] bytes = await objects.Get($"{folder}/{Manifest.FileName}", ManifestMost, cancellation);
            try
            {
                seen = new CheckpointSeen(objects.UriOf(folder), Manifest.Parse(bytes, objects.UriOf($"{folder}/{Manifest.FileName}")),
                    Manifest.DigestOf(bytes), bytes.Length, Sized: false, SetAside: false)
                {
                    InStore = folder,
                };
            }
            catch (RefusedCheckpointException)
            {
                return null;
            }
            // A name leads nowhere but into its folder.
            if (folder != FolderOf(seen) || !seen.Manifest.Files.All(f => IsPlain(f.Name)))
            {
                return null;
            }
            _read[folder] = seen;
        }
        return seen with { Sized = seen.Manifest.Files.All(f => files.GetValueOrDefault(f.Name)?.Bytes == f.Bytes) };
    }

    private static bool IsPlain(string name) =>
        name is { Length: > 0 } and not (Manifest.FileName or "." or "..") && name == Path.GetFileName(name);

    /// <summary>Brings a whole checkpoint into an empty folder. Its bytes are for whoever uses it to verify.</summary>
    public async Task Bring(string folder, Manifest manifest, string into, CancellationToken cancellation)
    {
        foreach (var file in manifest.Files)
        {
            await objects.GetFile($"{folder}/{file.Name}", Path.Combine(into, file.Name), file.Bytes, cancellation);
        }
        byte[] bytes = await objects.Get($"{folder}/{Manifest.FileName}", ManifestMost, cancellation);
        using (var last = new FileStream(Path.Combine(into, Manifest.FileName), FileMode.Create, FileAccess.Write))
        {
            last.Write(bytes);
            DurableFiles.Sync(last);
        }
        DurableFiles.SyncFolder(into);
    }

    /// <summary>What was whole is no more with its manifest; then the rest goes.</summary>
    public async Task Delete(StoredFolder folder, CancellationToken cancellation) => await objects.Delete(
        [.. folder.Files.Values.OrderBy(f => f.Key != $"{folder.Name}/{Manifest.FileName}").Select(f => f.Key)], cancellation);

    [GeneratedRegex(@"\Astep-[0-9]{8,19}-[0-9a-f]{16}\z", RegexOptions.CultureInvariant)]
    private static partial Regex OurName();
}

/// <param name="Name">With run and stage.</param>
/// <param name="Seen">Null: it has no manifest, or none that can be understood.</param>
internal sealed record StoredFolder(string Name, IReadOnlyDictionary<string, StoredObject> Files, CheckpointSeen? Seen)
{
    public bool Refused => Files.ContainsKey(StoredCheckpoints.RefusalName);

    public bool Pinned => Files.ContainsKey(CheckpointFolder.PinName);
}
