using System.Collections.Immutable;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Health;

/// <summary>A failure that ended an attempt, as far as it says something of the node.</summary>
/// <param name="Stage">With the attempt its name: told twice it counts once.</param>
public sealed record NodeFailure(NodeId Node, StageId Stage, int Attempt, FailureCause Cause, DateTimeOffset At);

/// <summary>
/// What nodes did to gangs. Lemons, the few that fail again and again (40 in Meta's clusters, arXiv 2410.21680), come last.
/// </summary>
public static class NodeHistory
{
    /// <summary>A failure counts half after this: ours. Long enough to see a repeater, short enough that a repair shows.</summary>
    private static readonly TimeSpan HalfLife = TimeSpan.FromDays(7);

    /// <summary>After eight half-lives nothing is left of it.</summary>
    private static readonly TimeSpan KeptFor = HalfLife * 8;

    private const int KeptAtMost = 10_000;

    /// <summary>
    /// How often the node has ended an attempt lately, each failure by its weight and halved with every week; 0: a clean record. A clock
    /// that ran ahead and was set right leaves failures of the future behind: they fade as those of the past do.
    /// </summary>
    public static double Score(IEnumerable<NodeFailure> ofNode, DateTimeOffset now) =>
        Math.Round(ofNode.Sum(f => WeightOf(f.Cause) * Math.Pow(0.5, (now - f.At).Duration() / HalfLife)), 2);

    /// <summary>The same failure again, or one that does not speak of the node, changes nothing.</summary>
    public static ImmutableArray<NodeFailure> Add(ImmutableArray<NodeFailure> known, NodeFailure failure)
    {
        if (WeightOf(failure.Cause) <= 0 || known.Any(f => f.Stage == failure.Stage && f.Attempt == failure.Attempt))
        {
            return known;
        }

        var kept = known.RemoveAll(f => (failure.At - f.At).Duration() > KeptFor).Add(failure);
        return kept.Length <= KeptAtMost ? kept : kept.RemoveRange(0, kept.Length - KeptAtMost);
    }

    public static ClusterSnapshot With(this ClusterSnapshot seen, ImmutableArray<NodeFailure> failures)
    {
        if (failures.IsEmpty)
        {
            return seen;
        }

        var byNode = failures.ToLookup(f => f.Node);
        return seen with
        {
            Nodes = [.. seen.Nodes.Select(n => byNode.Contains(n.Id) ? n with { LemonScore = Score(byNode[n.Id], seen.At) } : n)],
        };
    }

    /// <summary>A lost machine speaks of itself; a rank may have ended by its program; what people asked for says nothing.</summary>
    private static double WeightOf(FailureCause cause) => cause switch
    {
        FailureCause.NodeLost or FailureCause.AgentLost => 1,
        FailureCause.RankHung or FailureCause.RankSlow => 0.5,
        FailureCause.RankExited or FailureCause.StartTimedOut => 0.25,
        FailureCause.CheckpointRefused or FailureCause.RolledBack or FailureCause.BadInput or FailureCause.NoCheckpoint
            or FailureCause.NotFinite or FailureCause.LossRose => 0,
        _ => throw new System.Diagnostics.UnreachableException($"cause {cause}"),
    };
}
