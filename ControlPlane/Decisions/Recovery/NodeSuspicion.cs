using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// Ranks that fail by themselves twice in a row on one node, the second time before their first step, say something of the node. Twice,
/// since a single exit is most often the program's: a fault of the program fails on the next node too, and is given up there. Where the
/// dictionary of exits is sure that a machine broke, once is enough, and it says nothing of the program.
/// </summary>
public static class NodeSuspicion
{
    public static Failure Of(FailedAttempt failed)
    {
        var failure = failed.Failure;
        if (failure is { Cause: FailureCause.RankExited, NodeIsSuspect: false }
            && failure.Exit is { Sure: true, Meaning: { OfTheMachine: true } broken })
        {
            return failure with { NodeIsSuspect = true, Signature = "", Sentence = $"{failure.Sentence}; that is, {broken.Cause}" };
        }

        bool again = failed.Restarts is [.., var last] && last.Node == failure.Node && OfTheRank(last.Cause, last.Signature);
        return failure.NodeIsSuspect || failed.MadeStep || !again || !OfTheRank(failure.Cause, failure.Signature) ? failure
            : failure with { NodeIsSuspect = true, Sentence = $"{failure.Sentence}, the second time in a row on {failure.Node}" };
    }

    /// <summary>What has no signature was killed from outside.</summary>
    private static bool OfTheRank(FailureCause cause, string signature) =>
        cause is FailureCause.RankExited or FailureCause.RankHung && signature.Length > 0;
}
