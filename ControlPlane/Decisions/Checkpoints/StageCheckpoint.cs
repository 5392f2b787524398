using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Checkpoints;

/// <summary>A checkpoint to load, and where it was made.</summary>
/// <param name="Run">Empty: it was published, and no run here made it.</param>
/// <param name="Path">Folder, relative to the cluster's checkpoint root; of a published one absolute.</param>
/// <param name="Digest">SHA-256 over the manifest, hex; verified by the rank before it is used. Of a published one see
/// <see cref="PublishedCheckpoint"/>.</param>
/// <param name="DataCursor">Position in the data order, as the worker printed it.</param>
public sealed record CheckpointRef(string Run, string Stage, long Step, string Path, string Digest, string DataCursor)
{
    private const int DigestShown = 12;

    [JsonIgnore]
    public bool Published => Run.Length == 0;

    public static CheckpointRef Of(PublishedCheckpoint published) => new("", "", 0, published.Folder, published.Digest, "");

    /// <summary>"mini/pretrain step 400, epoch 0 sample 51200", or "/models/v3 (sha256 0f3a…)".</summary>
    public string Lineage => Published ? Digest.Length > DigestShown ? $"{Path} (sha256 {Digest[..DigestShown]})" : Path
        : DataCursor.Length == 0 ? $"{Run}/{Stage} step {Step}" : $"{Run}/{Stage} step {Step}, {DataCursor}";
}

/// <summary>A checkpoint that a worker reported durable: written aside, synced, renamed.</summary>
/// <param name="Stall">Blocking part of the save.</param>
/// <param name="Lag">From the start of the save until it was durable.</param>
/// <param name="Final">It ends the stage and is handed on.</param>
public sealed record CheckpointMade(
    long Step, string Path, long Bytes, string Digest, long Tokens, double Loss, string DataCursor, TimeSpan Stall, TimeSpan Lag,
    DateTimeOffset At, int Attempt, bool Final);

/// <summary>A checkpoint that a rank would not load, with the reason.</summary>
public sealed record RefusedCheckpoint(string Path, string Reason)
{
    /// <summary>The attempt that refused it; 0: not told.</summary>
    public int Attempt { get; init; }

    /// <summary>Of the manifest that was registered or found; empty: not known.</summary>
    public string Digest { get; init; } = "";

    /// <summary>A checkpoint trained anew since then lies at the same path, and is not the one that was refused.</summary>
    public bool Means(CheckpointMade made) => made.Path == Path
        && (Digest.Length > 0 ? made.Digest.Length == 0 || made.Digest == Digest : Attempt == 0 || made.Attempt < Attempt);
}

/// <summary>What a rank found on disk when it was launched, and goes on from. Null: it begins at step 0, or goes on in memory.</summary>
public sealed record ResumedFrom(int Attempt, CheckpointMade? From)
{
    /// <summary>The step that the ranks of its gang had kept in memory, and go on from. Null: they do not.</summary>
    public long? KeptStep { get; init; }
}

/// <summary>A checkpoint that lies on a disk: its manifest can be read and its files have the length that it says.</summary>
/// <param name="Registration">Of the run that made it; empty: made before runs had one.</param>
public sealed record CheckpointOnDisk(CheckpointMade Made, string Registration);

/// <summary>What lies in a stage's folder under the names of checkpoints, oldest first.</summary>
public sealed record StageFolder(string Path, ImmutableArray<CheckpointOnDisk> Checkpoints);

public enum CheckpointState
{
    Good = 0,
    /// <summary>The stage's last one, handed on to the next stage. Never deleted.</summary>
    Final = 1,
    /// <summary>Kept against retention.</summary>
    Pinned = 2,
    /// <summary>Refused by a rank, or set aside by a person's retry from an earlier one. Not used again.</summary>
    Quarantined = 3,
    /// <summary>The worker dropped it: newer ones are enough.</summary>
    Deleted = 4,
}

/// <summary>A checkpoint with what became of it.</summary>
/// <param name="Reason">Why it is in this state, in words.</param>
/// <param name="Lineage">Where the stage's weights came from; empty: from random initialisation.</param>
public sealed record StageCheckpoint(CheckpointMade Made, CheckpointState State, string Reason, string Lineage)
{
    /// <summary>When all of it was read last, and by whom. Null: nobody has read it since it was made.</summary>
    public CheckpointTrust? Trust { get; init; }

    /// <summary>Why the last try to read it again came to nothing. Null: it did not, or none was made.</summary>
    public UnreadCheckpoint? Unread { get; init; }

    /// <summary>Its copy in the store. Null: it is in its folder alone.</summary>
    public StoredCopy? Stored { get; init; }

    /// <summary>Retention has taken it out of its folder; the store, which lags behind, has as many newer ones not yet.</summary>
    public bool OnlyStored { get; init; }

    public bool Usable => State is CheckpointState.Good or CheckpointState.Final or CheckpointState.Pinned;

    public CheckpointRef Ref(StageId stage) => new(stage.Run, stage.Stage, Made.Step, Made.Path, Made.Digest, Made.DataCursor);
}
