using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>The moves that <see cref="StagePlanner"/> puts together. None decides whether it is made.</summary>
internal static class StageTransitions
{
    public static Decision Stay(this Stage stage, string reason, params ImmutableArray<StageAction> actions) => new(stage, actions, reason);

    public static Decision To(this Stage stage, Phase phase, string reason, params ImmutableArray<StageAction> actions) =>
        new(stage with { Phase = phase, Reason = reason }, actions, reason);

    public static Stage Say(this Stage stage, DateTimeOffset now, string kind, EventLevel level, string text) =>
        stage.Say(new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, kind, level, text));

    public static Stage Say(this Stage stage, RunEvent told) => stage with { Outbox = stage.Outbox.Add(told) };

    /// <summary>
    /// The next attempt, from the newest checkpoint that may be used. Its number is beyond that of every checkpoint on disk, which a
    /// database that was put back from a copy does not know.
    /// </summary>
    public static Stage NextAttempt(this Stage stage) => stage with
    {
        Attempt = 1 + stage.Checkpoints.Select(c => c.Made.Attempt).Append(stage.Attempt).Max(),
        LocalTry = 0,
        FromMemory = false,
        StepsAgain = null,
        LaunchedFrom = CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0,
    };

    /// <summary>Ranks of a gang that stays where it is may have newer states in memory than any checkpoint.</summary>
    public static bool KeepsInMemory(this Stage stage) =>
        stage.Wish.Work.Ranks > 1 && stage.Wish.Pipeline.Stages.Any(s => s.Name == stage.Id.Stage)
        && stage.Wish.Pipeline.CheckpointsOf(stage.Wish.Pipeline.Stage(stage.Id.Stage)).InMemoryEvery != 0;

    /// <summary>Asks for a new gang for the next attempt.</summary>
    /// <param name="layout">What it is laid out as. Null: as the stage asks for.</param>
    public static Decision Queue(this Stage stage, DateTimeOffset now, ShrunkLayout? layout = null)
    {
        var attempt = stage.NextAttempt();
        var next = attempt with
        {
            Shrunk = stage.Shrunk is { } shrunk ? shrunk with { Layout = layout } : null,
            LayoutFrom = stage.Shrunk is null ? stage.LayoutFrom : attempt.Attempt,
            StartedAt = stage.StartedAt ?? now,
            EndedAt = null,
            Avoid = [.. stage.Avoid.Where(a => (now - a.Since).Duration() < AnotherGang.AvoidFor)],
        };
        var work = stage.Wish.Work;
        string reason = $"asks for {Words.Count(StageShrinking.Asked(next), "node", "nodes")} with "
            + $"{Words.Count(work.SlotsPerNode, "GPU", "GPUs")} each for attempt {next.Attempt}, from step {next.LaunchedFrom}";
        return next.Say(now, "queued", EventLevel.Info, reason).To(new Phase.Queued(now), reason);
    }

    /// <summary>The next attempt in the pods that are there.</summary>
    public static Decision RestartInPlace(this Stage stage, GangGrant gang, DateTimeOffset now)
    {
        var next = stage.NextAttempt();
        string reason = $"attempt {next.Attempt} in place on {Words.Nodes(gang.Nodes)}, from step {next.LaunchedFrom}"
            + (stage.KeepsInMemory() ? " or a later one that its ranks have kept" : "");
        // Who has to leave before anything is launched, and who has to be there, is the gang's, not the attempt's.
        var before = stage.Phase as Phase.Restarting;
        return next.To(new Phase.Restarting(gang, now) { Leaving = before?.Leaving ?? [], Joining = before?.Joining ?? [] }, reason);
    }

    public static Decision Stop(this Stage stage, GangGrant gang, Ending then, string reason, DateTimeOffset now,
        TimeSpan? saveWithin = null) =>
        stage.To(new Phase.Stopping(gang, now, then, saveWithin), reason);

    /// <summary>A request that is taken back holds no pods; it is released by the same way as a gang.</summary>
    public static GangGrant NoNodes(this Stage stage, DateTimeOffset now) =>
        new(stage.Id, stage.Attempt, [], stage.Wish.Work.SlotsPerNode, now);

    public static Decision Pause(this Stage stage, DateTimeOffset now)
    {
        string reason = $"{stage.Wish.Reason}; {CheckpointChoice.FromWhere(stage.Checkpoints)}";
        // Whoever paused it has taken over: a rise that was not answered yet is not answered behind their back.
        return (stage with { Incident = null, Hold = "", Rise = null }).Say(now, "paused", EventLevel.Info, reason)
            .To(new Phase.Paused(now), reason);
    }

    public static Decision Cancel(this Stage stage, DateTimeOffset now)
    {
        string reason = stage.Wish.Reason;
        return (stage with { Incident = null, EndedAt = now }).Say(now, "cancelled", EventLevel.Warning, reason)
            .To(new Phase.Cancelled(now), reason);
    }

    public static Decision Fail(this Stage stage, string why, DateTimeOffset now) =>
        (stage with { EndedAt = now }).Say(now, "failed", EventLevel.Error, why).To(new Phase.Failed(why, now), why);

    public static Decision Complete(this Stage stage, CheckpointRef final, DateTimeOffset now)
    {
        var took = now - (stage.StartedAt ?? now);
        // Of this round: what lay failed before a person retried is no time of the stage's.
        string after = stage.RoundBegan > 0 ? $", {Words.Duration(took)} after the retry" : $" after {Words.Duration(took)}";
        string reason = $"reached step {final.Step}{after}, {Words.Count(stage.Attempt - stage.AttemptsSkipped, "attempt", "attempts")};"
            + $" hands on {final.Path}";
        var told = new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, "completed", EventLevel.Info, reason)
        {
            Step = final.Step,
            Took = took,
        };
        return (stage with { Incident = null, EndedAt = now }).Say(told).To(new Phase.Completed(final, now), reason);
    }

    /// <summary>What begins beyond the step that a person goes back to.</summary>
    private static LossAct TakenBack(LossAct act, long step, long taken) =>
        act.FirstBatch > taken || act.RateFrom > step || (act is { FirstBatch: 0, RateFrom: 0 } && act.FlaggedAt > step)
            ? act with { Outcome = LossOutcome.TakenBack } : act;

    /// <summary>
    /// Takes up a person's retry: a clean budget, and everything beyond the wanted step set aside. Without a step the stage goes on
    /// from its newest checkpoint that is not its end.
    /// </summary>
    public static Stage BeginRound(this Stage stage, DateTimeOffset now)
    {
        var open = stage.Checkpoints.Where(c => c.State != CheckpointState.Final).ToImmutableArray();
        long from = stage.Wish.FromStep ?? CheckpointChoice.ToResume(open)?.Made.Step ?? 0;
        long taken = BatchOrder.BatchOf(from, BatchOrder.LeftOut(stage.LeftOut, stage.LossActs));
        var next = stage with
        {
            Round = stage.Wish.Round,
            RoundBegan = stage.Attempt,
            Checkpoints = CheckpointChoice.SetAsideBeyond(stage.Checkpoints, from),
            Restarts = [],
            RestartsByCause = ImmutableDictionary<FailureCause, int>.Empty,
            Incident = null,
            Avoid = [],
            Latest = null,
            // Who names a step wants what comes after it trained anew, also what was left out.
            LeftOut = stage.Wish.FromStep is null ? stage.LeftOut : [.. stage.LeftOut.Where(b => b.Batch <= taken)],
            LossActs = stage.Wish.FromStep is { } step ? [.. stage.LossActs.Select(a => TakenBack(a, step, taken))] : stage.LossActs,
            Hold = "",
            Rise = null,
            StartedAt = now,
            EndedAt = null,
            Evaluations = [.. stage.Evaluations.Where(e => e.Step <= from)],
        };
        return next.Say(now, "retried",
            EventLevel.Info, $"begins again: {stage.Wish.Reason}; {CheckpointChoice.FromWhere(next.Checkpoints)}");
    }
}
