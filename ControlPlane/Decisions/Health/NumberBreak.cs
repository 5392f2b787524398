using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// A break: a loss, gradient norm, weight or measured loss that is not finite. What becomes of it is a rung of the ladder.
/// </summary>
public static class NumberBreak
{
    /// <summary>What broke the current attempt: a rank says so itself, or it told a sample that says so. Null: nothing did.</summary>
    public static Failure? Find(WatchedStage stage, GangGrant gang, Observation seen, DateTimeOffset now)
    {
        foreach (var agent in seen.AgentsOf(gang))
        {
            foreach (var rank in agent.Ranks)
            {
                if ((rank.Broke is not null || Ended(rank)) && rank.Attempt == stage.Attempt && rank.LocalTry >= stage.LocalTry)
                {
                    var broke = rank.Broke ?? Unexplained(stage, rank);
                    return Of(stage, agent.Node, broke, now - seen.SilenceOf(agent), now) with { Rank = rank.Rank };
                }
            }
        }

        if (seen.Broken is { } sample && sample.Attempt == stage.Attempt)
        {
            return Of(stage, gang.Nodes[0], FromSample(stage, sample), sample.At, now);
        }

        // Where no sample came through: a save that tells such a loss.
        return stage.Checkpoints.LastOrDefault(c => c.Made.Attempt == stage.Attempt && !double.IsFinite(c.Made.Loss)) is { } saved
            ? Of(stage, gang.Nodes[0], At(stage, "loss", saved.Made.Loss, saved.Made.Step), saved.Made.At, now) : null;
    }

    /// <summary>Why a checkpoint that was just told must not be used, whatever its bytes; null: it may be.</summary>
    public static string? Unfit(WatchedStage stage, CheckpointMade made) =>
        !double.IsFinite(made.Loss) ? $"the loss of its step is {NotFinite.InWords(made.Loss)}"
        : stage.LeftOut.FirstOrDefault(b => b.Attempt == made.Attempt && made.Step >= b.Step) is { } broken
            ? $"made after {broken.Why}"
        : stage.LossActs.FirstOrDefault(a => a.Stands && a.Forbids(made.Step, made.Attempt)) is { } act
            ? $"made when the loss had risen at step {act.FlaggedAt}" : null;

    private static bool Ended(RankStatus rank) => rank is { State: RankState.Exited, ExitCode: ExitCodes.NotFinite };

    /// <summary>The rank ended by it, and its words were lost on the way.</summary>
    private static NotFinite Unexplained(WatchedStage stage, RankStatus rank) =>
        At(stage, "loss or gradient norm", double.NaN, rank.Step + 1) with { Value = "not finite" };

    private static NotFinite FromSample(WatchedStage stage, StepSample sample) => (double.IsFinite(sample.Loss)
        ? At(stage, "gradient norm", sample.GradNorm, sample.Step)
        : At(stage, "loss", sample.Loss, sample.Step)) with
    { LearningRate = sample.LearningRate };

    private static NotFinite At(WatchedStage stage, string what, double value, long step) =>
        new(what, NotFinite.InWords(value), step, BatchOrder.BatchOf(step, stage.BatchesLeftOut), 0, "", 0);

    private static Failure Of(WatchedStage stage, NodeId node, NotFinite broke, DateTimeOffset happened, DateTimeOffset now) =>
        new(FailureCause.NotFinite, broke.Sentence, "", node, false, stage.Attempt, broke.Step, happened < now ? happened : now,
            now)
        { Broke = broke };
}
