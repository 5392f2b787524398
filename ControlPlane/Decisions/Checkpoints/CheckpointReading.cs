using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Checkpoints;

/// <summary>All of a checkpoint was read and is what its manifest says.</summary>
/// <param name="By">"the agents on node-0 and node-1", "the rank that goes on from it, on node-0".</param>
public sealed record CheckpointTrust(DateTimeOffset At, string By);

/// <summary>A checkpoint could not be read, which says nothing of what lies there.</summary>
public sealed record UnreadCheckpoint(DateTimeOffset At, string Why);

/// <summary>The checkpoint that agents read again beside the training, each a share of its files.</summary>
/// <param name="Id">No other reading of the stage has it.</param>
/// <param name="Of">So many shares, one for each node of the gang.</param>
/// <param name="Why">Why this one, in words.</param>
public sealed record CheckpointReading(long Id, long Step, string Path, string Digest, int Of, string Why)
{
    /// <summary>Shares that were read, each with whose agent did.</summary>
    public ImmutableSortedDictionary<int, string> Told { get; init; } = ImmutableSortedDictionary<int, string>.Empty;

    [JsonIgnore]
    public bool Complete => Told.Count == Of;

    public bool Means(CheckpointMade made) => made.Path == Path && made.Digest == Digest;
}

/// <summary>What one agent is asked to read, said with each reply until it has told.</summary>
public sealed record ReadOrder(long Id, string Path, string Digest, int Share, int Of);

/// <summary>An agent has read its share. What is damaged it tells as a <see cref="RefusedCheckpoint"/>.</summary>
/// <param name="Unreadable">Why it could not be read; empty: it was, and is what the manifest says.</param>
public sealed record CheckpointRead(long Id, int Share, string Node, string Unreadable);

/// <summary>Which checkpoint to read again, and when. What it costs the training its agents see to (docs/decisions/0056).</summary>
public static class CheckpointReadings
{
    /// <summary>
    /// A kept one is read again after so long: what rots on a disk does so in months, and a day is what file systems of clusters take for
    /// their own light scrubbing (Ceph: osd_scrub_min_interval). Most checkpoints are gone by then; pinned and final ones are not.
    /// </summary>
    public static TimeSpan Every { get; } = TimeSpan.FromDays(1);

    /// <summary>After a disk that could not be read. Ours: long enough for whoever mends it, and a line an hour is none too many.</summary>
    public static TimeSpan RetryAfter { get; } = TimeSpan.FromHours(1);

    /// <summary>
    /// The next one, and why. Null: none is due. First what nobody has read since it was made, the newest of them, which a launch would go
    /// on from; then the one that was read longest ago. Without a digest there are no files: it is simulated.
    /// </summary>
    public static (CheckpointMade Made, string Why)? Next(ImmutableArray<StageCheckpoint> checkpoints, DateTimeOffset now)
    {
        var due = checkpoints.Where(c => c.Usable && !c.OnlyStored && c.Made.Digest.Length > 0
            && !(c.Unread is { } unread && now - unread.At < RetryAfter))
            .ToList();
        if (due.LastOrDefault(c => c.Trust is null) is { } fresh)
        {
            return (fresh.Made, fresh.Unread is null ? "nobody has read it since it was made" : "the last try could not read it");
        }

        return due.MinBy(c => c.Trust!.At) is { Trust: { } trust } oldest && now - trust.At >= Every
            ? (oldest.Made, $"it was read last {Words.Duration(now - trust.At)} ago") : null;
    }

    /// <summary>
    /// The newest that was read whole, where the next save would let go of it: newer ones may turn out to be damaged. Null: none needs it.
    /// </summary>
    public static StageCheckpoint? Held(ImmutableArray<StageCheckpoint> checkpoints, int keep)
    {
        int newer = 0;
        foreach (var checkpoint in checkpoints.Where(c => c is { Usable: true, OnlyStored: false }).Reverse())
        {
            if (checkpoint.Trust is not null)
            {
                return checkpoint.State == CheckpointState.Good && newer >= Math.Max(2, keep) - 1 ? checkpoint : null;
            }

            newer += checkpoint.State == CheckpointState.Good ? 1 : 0;
        }

        return null;
    }

    public static ImmutableArray<StageCheckpoint> Trust(
        ImmutableArray<StageCheckpoint> checkpoints, Func<CheckpointMade, bool> which, CheckpointTrust trust) =>
        [.. checkpoints.Select(c => c.Usable && which(c.Made) ? c with { Trust = trust, Unread = null } : c)];

    public static ImmutableArray<StageCheckpoint> NotRead(
        ImmutableArray<StageCheckpoint> checkpoints, CheckpointReading reading, UnreadCheckpoint unread) =>
        [.. checkpoints.Select(c => c.Usable && reading.Means(c.Made) ? c with { Unread = unread } : c)];

    /// <summary>"the agent on node-0", "the agents on node-0 and 3 more nodes".</summary>
    public static string By(CheckpointReading reading)
    {
        string[] nodes = [.. reading.Told.Values.Distinct()];
        return nodes.Length switch
        {
            1 => $"the agent on {nodes[0]}",
            2 => $"the agents on {nodes[0]} and {nodes[1]}",
            _ => $"the agents on {nodes[0]} and {nodes.Length - 1} more nodes",
        };
    }
}
