using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Checkpoints.Store;

/// <summary>Which copies stay: the rules of the disk (<see cref="ResumeChoice"/>), on what is whole in the store.</summary>
/// <param name="startedFrom">The step that the launch went on from.</param>
internal sealed class StoreRetention(
    StoredCheckpoints store, CheckpointFolder folder, LaunchBounds bounds, int keep, IRankLink link, TimeProvider clock,
    Func<long> startedFrom)
{
    /// <summary>As on the disk: by then a newer one has been proven to be writable twice.</summary>
    private const int SavesUntilGone = 2;

    /// <summary>What has no manifest may be on its way; a copy that takes longer is given up by whoever makes it. Ours.</summary>
    private static readonly TimeSpan UnfinishedKept = TimeSpan.FromDays(1);

    private int _saves;

    public async Task Tidy(CancellationToken cancellation)
    {
        _saves++;
        var all = await store.Look(bounds.Run, bounds.Stage, cancellation);
        var whole = all.Where(f => f is { Refused: false, Seen: not null }).ToList();
        bool Left(StoredFolder f) => bounds.Own(f.Seen!.Manifest) && f.Seen.Step > startedFrom()
            && (f.Seen.Manifest.Attempt <= bounds.RoundBegan || bounds.IsRolledBack(f.Seen.Manifest));
        var over = ResumeChoice.BeyondRetention(
            whole.Where(f => !Kept(f)).Select(f => f.Seen! with { SetAside = Left(f) }), bounds, keep, link.Pinned ?? bounds.Pinned)
            .Select(c => c.InStore).ToHashSet(StringComparer.Ordinal);
        var lost = clock.GetUtcNow() - UnfinishedKept;
        foreach (var folder in all.Where(f => f.Seen is { } seen
            ? over.Contains(f.Name) || (_saves >= SavesUntilGone && !f.Refused && !Kept(f) && !seen.Manifest.Final && Left(f))
            : !f.Files.ContainsKey(Manifest.FileName) && f.Files.Values.All(o => o.At < lost)))
        {
            await store.Delete(folder, cancellation);
        }
    }

    /// <summary>Pinned by a person, there or here.</summary>
    private bool Kept(StoredFolder stored) => stored.Pinned || CheckpointFolder.Pinned(folder.PathOf(stored.Seen!.Step));
}
