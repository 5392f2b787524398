using System.Buffers.Binary;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>A checkpoint whose manifest could be read. Whether every byte of its files is right is not known yet.</summary>
/// <param name="Sized">Its files are there at the length that the manifest says.</param>
/// <param name="SetAside">It lies under a name that says that something newer took its place.</param>
public sealed record CheckpointSeen(string Path, Manifest Manifest, string Digest, int ManifestBytes, bool Sized, bool SetAside)
{
    /// <summary>Its folder in the checkpoint store; null: it lies on the disk.</summary>
    public string? InStore { get; init; }

    public long Step => Manifest.Position.Step;

    /// <summary>Enough of the digest to tell two checkpoints of one step apart, as a number that ranks can send.</summary>
    public long DigestStart => BinaryPrimitives.ReadInt64BigEndian(Convert.FromHexString(Digest));
}

/// <summary>Which checkpoints of a folder a launch may take for its own.</summary>
/// <param name="RoundBegan">Attempts up to this one belong to rounds that a person began anew.</param>
/// <param name="Registrations">Of the run, its own first.</param>
public sealed record LaunchBounds(string Run, string Stage, int Attempt, int RoundBegan, IReadOnlyList<string> Registrations)
{
    public static LaunchBounds Of(Assignment assignment) => new(
        assignment.Attempt.Run, assignment.Attempt.Stage, assignment.Attempt.Attempt, assignment.RoundBegan,
        assignment.Registrations.Count == 0 ? [""] : [.. assignment.Registrations])
    {
        LeftOut = [.. assignment.LeftOutBatches],
        RolledBack = [.. assignment.RolledBack.Select(r => (r.Attempt, r.Step))],
        Pinned = [.. assignment.PinnedSteps],
    };

    /// <summary>Batches that no checkpoint to go on from may have trained, by their number in the stage's data order.</summary>
    public IReadOnlyList<long> LeftOut { get; init; } = [];

    /// <summary>What attempts up to this one made beyond this step was made when a loss had risen.</summary>
    public IReadOnlyList<(int Attempt, long Step)> RolledBack { get; init; } = [];

    /// <summary>Steps of checkpoints that stay against retention.</summary>
    public IReadOnlyList<long> Pinned { get; init; } = [];

    /// <summary>What of each checkpoint this rank writes.</summary>
    public CheckpointPart Part { get; init; } = CheckpointPart.Only;

    /// <summary>Written into what this launch makes.</summary>
    public string Registration => Registrations[0];

    public bool IsRolledBack(Manifest manifest) =>
        RolledBack.Any(r => manifest.Attempt <= r.Attempt && manifest.Position.Step > r.Step);

    public bool Own(Manifest manifest) =>
        manifest.Run == Run && manifest.Stage == Stage && Registrations.Contains(manifest.Registration);
}

/// <summary>
/// The newest whole checkpoint of a stage on a disk, for an attempt: in which order to try what lies there, and what is over. Nothing
/// here reads a file. A launch asks when the last process of an older one is gone, so that nothing is added while it looks.
/// </summary>
public static class ResumeChoice
{
    /// <summary>
    /// The newest first. Of earlier rounds only what is not beyond the checkpoint that a person's retry named; what the control plane named
    /// by its digest counts whatever its manifest says.
    /// </summary>
    public static IReadOnlyList<CheckpointSeen> InOrder(IEnumerable<CheckpointSeen> onDisk, LaunchBounds bounds, CheckpointRef? wanted) =>
    [
        .. onDisk.Where(c => IsWanted(c, wanted)
            || (!bounds.IsRolledBack(c.Manifest) && bounds.Own(c.Manifest)
                && (c.Manifest.Attempt > bounds.RoundBegan || c.Step <= (wanted?.Step ?? 0))))
        .OrderByDescending(c => c.Step).ThenBy(c => c.SetAside).ThenByDescending(c => c.Manifest.Attempt)
            .ThenBy(c => c.InStore is not null),
    ];

    /// <summary>
    /// What a person's retry left behind, and what was made when a loss had risen: beyond the step that this launch goes on from, and of an
    /// earlier round or attempt.
    /// </summary>
    public static IReadOnlyList<CheckpointSeen> LeftBehind(IEnumerable<CheckpointSeen> onDisk, LaunchBounds bounds, long from) =>
        [.. onDisk.Where(c => !c.SetAside && c.Step > from && bounds.Own(c.Manifest)
            && (c.Manifest.Attempt <= bounds.RoundBegan || bounds.IsRolledBack(c.Manifest)))];

    /// <summary>A later attempt has been here: this launch is the one that is over.</summary>
    public static CheckpointSeen? OfLaterAttempt(IEnumerable<CheckpointSeen> onDisk, LaunchBounds bounds) =>
        onDisk.Where(c => bounds.Own(c.Manifest) && c.Manifest.Attempt > bounds.Attempt).MaxBy(c => c.Manifest.Attempt);

    /// <summary>
    /// The newest <paramref name="keep"/> good ones stay, at least two, and what is damaged is not counted for one. Final and pinned ones
    /// stay and are not counted.
    /// </summary>
    /// <param name="pinned">Steps that are kept for as long as the control plane says so.</param>
    public static IReadOnlyList<CheckpointSeen> BeyondRetention(
        IEnumerable<CheckpointSeen> onDisk, LaunchBounds bounds, int keep, IReadOnlyList<long> pinned)
    {
        CheckpointSeen[] ours = [.. onDisk.Where(c => !c.SetAside && !c.Manifest.Final && bounds.Own(c.Manifest)
            && !CheckpointFolder.Pinned(c.Path) && !pinned.Contains(c.Step))];
        long[] good = [.. ours.Where(c => c.Sized).Select(c => c.Step).OrderDescending()];
        var least = Math.Max(2, keep);
        return good.Length < least ? [] : [.. ours.Where(c => c.Step < good[least - 1])];
    }

    /// <exception cref="RefusedCheckpointException">Its bytes may be right, but its numbers are not to be gone on from.</exception>
    public static void RequireSound(Manifest manifest, LaunchBounds bounds)
    {
        if (!double.IsFinite(manifest.Position.Loss))
        {
            throw new RefusedCheckpointException($"the loss of its step is {(double.IsNaN(manifest.Position.Loss) ? "NaN" : "infinite")}");
        }
        var taken = manifest.Position.Step + manifest.LeftOut.Count;
        if (bounds.LeftOut.Except(manifest.LeftOut).Where(b => b <= taken).ToList() is [var trained, ..])
        {
            throw new RefusedCheckpointException($"it has trained batch {trained}, which is left out");
        }
    }

    public static bool IsWanted(CheckpointSeen seen, CheckpointRef? wanted) =>
        wanted is { Digest.Length: > 0 } ? seen.Digest == wanted.Digest : wanted is not null && !seen.SetAside && seen.Step == wanted.Step;
}
