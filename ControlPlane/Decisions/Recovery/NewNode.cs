using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// A failure before all ranks of a gang have made their first steps is laid to a node that is new to the gangs of this cluster, where one
/// can be named: it is swapped before the long launch goes on, and the run pays for it with none of its restarts. What ends the same on a
/// second new node is the program's, and what only a person can mend goes its own way.
/// </summary>
public static class NewNode
{
    /// <summary>Ends of a rank that its peers cause as well as its own node: ids of <see cref="Exits.ExitClasses"/>.</summary>
    private static readonly string[] OfPeers = ["nccl-timeout", "nccl-error", Exits.ExitClasses.PeerEnded];

    internal static Rung Rung { get; } = new("swap a new node", Try, f => Blamed(f).Because);

    /// <summary>The failure, laid to the new node where there is one to blame.</summary>
    public static Failure Of(FailedAttempt failed)
    {
        var failure = failed.Failure;
        if (Blamed(failed) is not { Node: { } node } || GoesItsOwnWay(failed))
        {
            return failure;
        }

        string laid = node == failure.Node ? $"{node} is new to the gangs of this cluster"
            : $"of the gang's nodes {node} alone is new to the gangs of this cluster, and it is laid to it";
        return failure with
        {
            Node = node,
            NodeIsSuspect = true,
            OfNewNode = true,
            Sentence = $"{failure.Sentence}; {laid}, and not all ranks had made "
                + Words.Count(failed.Stage.Policy.CheckSteps, "step", "steps"),
        };
    }

    internal static Remedy? Try(FailedAttempt failed) =>
        failed.Failure.OfNewNode ? new Remedy.AnotherGang(failed.Failure.Node, TimeSpan.Zero) : null;

    /// <summary>The new node that it is laid to. Null: none, with the reason.</summary>
    private static (NodeId? Node, string Because) Blamed(FailedAttempt failed)
    {
        var (failure, unchecked_) = (failed.Failure, failed.Unchecked);
        if (unchecked_.IsEmpty)
        {
            return (null, "none of its nodes is new, or all ranks have made their first steps there");
        }

        if (failure.Cause is not (FailureCause.RankExited or FailureCause.RankHung or FailureCause.AgentLost or FailureCause.NodeLost
            or FailureCause.StartTimedOut or FailureCause.RankSlow))
        {
            return (null, $"'{failure.Cause.InWords()}' says nothing of a node");
        }

        bool ofPeers = failure.Cause == FailureCause.RankHung || OfPeers.Contains(failure.Exit?.Class);
        NodeId? named = unchecked_.Contains(failure.Node) ? failure.Node
            : unchecked_.Length == 1 && ofPeers && !failure.NodeIsSuspect ? unchecked_[0] : null;
        var swapped = failed.Avoided.Where(a => a.WasNew).ToList();
        return named is not { } node ? (null, $"{failure.Node} is not new")
            : failed.Avoided.Any(a => a.Node == node) ? (null, $"{node} was swapped before, and no other node was free")
            : failure.Signature.Length > 0 && swapped.Exists(a => a.Signature == failure.Signature)
                ? (null, "a new node was swapped for the same before: it is the program's")
            : swapped.Count >= failed.Stage.Policy.MaxRestarts
                ? (null, $"{Words.Count(swapped.Count, "new node was", "new nodes were")} swapped within the hour already")
            : (node, "");
    }

    private static bool GoesItsOwnWay(FailedAttempt failed) =>
        AskedFor.Try(failed) is not null || NoCheckpointLeft.Rung.Try(failed) is not null || NotCured.Try(failed) is not null
        || BreaksAgain.Try(failed) is not null;
}
