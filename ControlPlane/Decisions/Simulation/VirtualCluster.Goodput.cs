using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

internal sealed partial class VirtualCluster
{
    /// <summary>Enters what every GPU of the cluster did for a while in which nothing changed.</summary>
    /// <param name="held">Who holds which nodes.</param>
    /// <param name="knows">The control plane's record of a stage.</param>
    public void Account(TimeSpan span, ImmutableArray<GangGrant> held, Func<StageId, Stage?> knows, StageId? queued)
    {
        var used = new Dictionary<NodeId, int>();
        int repair = 0, unused = 0;
        foreach (var grant in held)
        {
            int alive = 0;
            foreach (var node in grant.Nodes)
            {
                used[node] = used.GetValueOrDefault(node) + grant.SlotsPerNode;
                alive += nodes[node].Up ? 1 : 0;
            }

            repair += (grant.Nodes.Length - alive) * grant.SlotsPerNode;
            var (bucket, cause) = DoneBy(grant, knows(grant.Stage));
            int slots = alive * grant.SlotsPerNode;
            if (bucket == GoodputBucket.Productive && knows(grant.Stage) is { Shrunk.Layout: { } layout })
            {
                // What so many GPUs of the whole layout would have made, and the rest is what the smaller one costs.
                int good = Math.Min(slots, (int)Math.Round(layout.Rate * layout.Of * grant.SlotsPerNode));
                Ledger.Enter(GoodputBucket.Shrunk, "", slots - good, span);
                (slots, unused) = (good, unused + ((layout.Of - layout.Nodes) * grant.SlotsPerNode));
            }

            Ledger.Enter(bucket, cause, slots, span);
            if (bucket == GoodputBucket.Productive)
            {
                var account = AccountOf(grant.Stage);
                (account.Useful, account.Slots) = (account.Useful + (slots * span.Ticks), slots);
            }
        }

        int free = 0;
        foreach (var node in nodes.Values)
        {
            int left = node.Seen.Slots - used.GetValueOrDefault(node.Id);
            repair += node.Up ? 0 : left;
            free += node.Up ? left : 0;
        }

        Ledger.Enter(GoodputBucket.Repair, "", repair, span);
        if (queued is null)
        {
            unused = Math.Min(free, unused);
            Ledger.Enter(GoodputBucket.Shrunk, "", unused, span);
            free -= unused;
        }

        Ledger.Enter(queued is null ? GoodputBucket.Idle : GoodputBucket.Queue, queued is { } stage ? AccountOf(stage).Cause : "", free,
            span);
    }

    private (GoodputBucket Bucket, string Cause) DoneBy(GangGrant grant, Stage? stage)
    {
        string cause = AccountOf(grant.Stage).Cause;
        // What the check of new nodes costs belongs to the start of their gang.
        bool swapped = stage is { Incident.OfNewNode: true, Shrunk: null };
        cause = swapped ? "" : cause;
        var waiting = cause.Length > 0 || stage?.Shrunk is not null ? GoodputBucket.Restart : GoodputBucket.StartUp;
        var job = jobs.Values.Where(j => j.Gang.Id == grant.Id).MaxBy(j => j.Attempt);
        bool unnoticed = stage is not null && job is not null && stage.Attempt == job.Attempt
            && stage.Phase is Phase.Running or Phase.Checking or Phase.Starting or Phase.Restarting;
        return job?.State switch
        {
            JobState.Training when stage?.Phase is Phase.Checking => (GoodputBucket.StartUp, ""),
            JobState.Training => (GoodputBucket.Productive, ""),
            JobState.Saving when job.Step < job.TotalSteps => (GoodputBucket.Checkpoint, ""),
            JobState.Broken when unnoticed => (GoodputBucket.Detection, cause),
            _ => (waiting, cause),
        };
    }
}
