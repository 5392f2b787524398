using System.Globalization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// Checkpoints are read again beside the training, so that a damaged one is known before it is needed. Which one is written in the stage:
/// it is read to its end although newer ones come, and goes on after whatever restarts.
/// </summary>
public static class StageReading
{
    /// <summary>What was told of shares, and what is read next.</summary>
    internal static Stage Advance(Stage stage, Observation seen, DateTimeOffset now)
    {
        var next = seen.News.Reads.Aggregate(stage, (s, read) => Take(s, read, now));
        if (next.Phase is not Phase.Running { Gang: var gang })
        {
            return next;
        }

        if (next.Reading is { } reading && reading.Of == gang.Nodes.Length
            && next.Checkpoints.Any(c => c.Usable && reading.Means(c.Made)))
        {
            return next;
        }

        var chosen = CheckpointReadings.Next(next.Checkpoints, now);
        if (chosen is not var (made, why))
        {
            return next.Reading is null ? next : next with { Reading = null };
        }

        long id = Math.Max(next.ReadingId + 1, now.ToUnixTimeMilliseconds());
        return next with
        {
            ReadingId = id,
            Reading = new CheckpointReading(id, made.Step, made.Path, made.Digest, gang.Nodes.Length, why),
        };
    }

    /// <summary>What the agent of a node is to read. Null: nothing, or it has told.</summary>
    public static ReadOrder? For(Stage stage, NodeId node)
    {
        if (stage.Reading is not { } reading || stage.Phase is not Phase.Running { Gang: var gang })
        {
            return null;
        }

        int share = gang.Nodes.IndexOf(node);
        return share < 0 || share >= reading.Of || reading.Told.ContainsKey(share) ? null
            : new ReadOrder(reading.Id, reading.Path, reading.Digest, share, reading.Of);
    }

    private static Stage Take(Stage stage, CheckpointRead read, DateTimeOffset now)
    {
        // Of a reading that was given up meanwhile nothing follows, and what is told twice is told.
        if (stage.Reading is not { } reading || reading.Id != read.Id || read.Share < 0 || read.Share >= reading.Of
            || reading.Told.ContainsKey(read.Share))
        {
            return stage;
        }

        if (read.Unreadable.Length > 0)
        {
            string why = $"the agent on {read.Node} could not read it: {read.Unreadable}";
            return (stage with
            {
                Reading = null,
                Checkpoints = CheckpointReadings.NotRead(stage.Checkpoints, reading, new UnreadCheckpoint(now, why)),
            }).Say(now, "checkpoint-unread", EventLevel.Warning, string.Create(CultureInfo.InvariantCulture,
                $"whether the checkpoint of step {reading.Step} is whole is not known: {why}; tried again in ")
                + Words.Duration(CheckpointReadings.RetryAfter));
        }

        var told = reading with { Told = reading.Told.Add(read.Share, read.Node) };
        return !told.Complete ? stage with { Reading = told } : stage with
        {
            Reading = null,
            Checkpoints = CheckpointReadings.Trust(
                stage.Checkpoints, told.Means, new CheckpointTrust(now, CheckpointReadings.By(told))),
        };
    }
}
