using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Health;

public enum FailureCause
{
    /// <summary>A rank process ended without having said that it was done.</summary>
    RankExited = 0,
    /// <summary>A rank made no progress for longer than it ever needed, times a factor.</summary>
    RankHung = 1,
    /// <summary>The cluster says that an agent's pod has ended or is gone.</summary>
    AgentLost = 2,
    /// <summary>The cluster says that the node is not ready, and its agent is silent.</summary>
    NodeLost = 3,
    /// <summary>The gang did not make its first step in time.</summary>
    StartTimedOut = 4,
    /// <summary>A rank refused the checkpoint it was to go on from.</summary>
    CheckpointRefused = 5,
    /// <summary>A person asked to go back to an earlier checkpoint.</summary>
    RolledBack = 6,
    /// <summary>
    /// A rank cannot train on the data, tokenizer or numbers it was given. Every launch on every node would end the same.
    /// </summary>
    BadInput = 7,
    /// <summary>A stage that was beyond step 0 has no checkpoint left that can be used. Only a person begins it again.</summary>
    NoCheckpoint = 8,
    /// <summary>A loss, a gradient norm or a weight was not finite: the numbers broke, and no machine or program did.</summary>
    NotFinite = 9,
    /// <summary>A loss rose and stayed up, and the recipe says what is done about it.</summary>
    LossRose = 10,
    /// <summary>A rank on a new node took far longer than its peers for the first steps.</summary>
    RankSlow = 11,
}

/// <summary>Why an attempt ended: the first thing seen that it could not go on with.</summary>
/// <param name="Sentence">For people: "rank 0 on node-0 was ended by signal 9 (SIGKILL) at step 143".</param>
/// <param name="Signature">
/// Equal for failures that are the same fault of the program again (exit code, step, place in the code); empty where the failure says
/// nothing about the program, such as a kill from outside or a lost machine.
/// </param>
/// <param name="Node">The node that failed.</param>
/// <param name="NodeIsSuspect">The next gang avoids the node; the gang cannot go on in place.</param>
/// <param name="Step">The last step known of the attempt.</param>
/// <param name="HappenedAt">When it failed, as far as known; before <paramref name="NoticedAt"/>.</param>
public sealed record Failure(
    FailureCause Cause, string Sentence, string Signature, NodeId Node, bool NodeIsSuspect, int Attempt, long Step,
    DateTimeOffset HappenedAt, DateTimeOffset NoticedAt)
{
    /// <summary>The rank that failed first. Null: no rank is to blame, and in what older versions stored.</summary>
    public int? Rank { get; init; }

    /// <summary>
    /// It is laid to a node that was new to the gangs of this cluster, within the first steps: that node is swapped, and the run's budget
    /// has no part in it.
    /// </summary>
    public bool OfNewNode { get; init; }

    /// <summary>With <see cref="FailureCause.NotFinite"/>: which number.</summary>
    public NotFinite? Broke { get; init; }

    /// <summary>With <see cref="FailureCause.LossRose"/>: what is done about it.</summary>
    public LossAct? Act { get; init; }

    /// <summary>
    /// With the end of a rank, or of an agent whose words are known: what its code and its words mean. Null elsewhere, and in what older
    /// versions stored.
    /// </summary>
    public ExitVerdict? Exit { get; init; }
}

public static class FailureCauses
{
    /// <summary>As the views count them: "rank exited".</summary>
    public static string InWords(this FailureCause cause) => cause switch
    {
        FailureCause.RankExited => "rank exited",
        FailureCause.RankHung => "rank hung",
        FailureCause.AgentLost => "agent lost",
        FailureCause.NodeLost => "node lost",
        FailureCause.StartTimedOut => "start timed out",
        FailureCause.CheckpointRefused => "checkpoint refused",
        FailureCause.RolledBack => "rolled back",
        FailureCause.BadInput => "bad input",
        FailureCause.NoCheckpoint => "no checkpoint",
        FailureCause.NotFinite => "not finite",
        FailureCause.LossRose => "loss rose",
        FailureCause.RankSlow => SlowRank.Cause,
        _ => throw new System.Diagnostics.UnreachableException($"cause {cause}"),
    };
}
