using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// What was done for a stage's newest incident, taken back by a person where that is possible: a lowered rate that is still in force,
/// batches that are left out and not reached, nodes that are fewer while there is room for all, a node that is avoided.
/// </summary>
internal static class StageUndo
{
    /// <summary>Null: there was no incident, or nothing was done for it.</summary>
    public static UndoAnswer? Of(Stage stage, Observation seen)
    {
        if (stage.NewestIncident is not { Decision: { } decision } incident
            || decision.Rung is IncidentDecision.Advice or IncidentDecision.Withheld)
        {
            return null;
        }

        string? refusal = Refusal(stage, incident, decision, seen);
        return new UndoAnswer(refusal is null, refusal ?? What(stage, incident, seen));
    }

    /// <summary>Answers what a person asked for. Null: nobody asks.</summary>
    public static Decision? Answer(Stage stage, Observation seen, DateTimeOffset now)
    {
        if (stage.Wish.Undo is not { } asked || asked.Asked <= stage.UndoAnswered || asked.Stage != stage.Id.Stage)
        {
            return null;
        }

        var answered = stage with { UndoAnswered = asked.Asked };
        if (stage.NewestIncident is not { } incident || incident.Number != asked.Incident || Of(stage, seen) is not { Can: true } answer)
        {
            string why = stage.NewestIncident?.Number == asked.Incident ? Of(stage, seen)?.Words ?? "nothing was done for it"
                : "a later incident followed it";
            return Said(answered, $"incident {asked.Incident} is not taken back for {asked.By}: {why}", EventLevel.Warning, now);
        }

        var undone = answered with { NewestIncident = IncidentMachine.Undo(incident, answer.Words.TrimEnd('.'), asked.By, now) };
        string words = $"taken back by {asked.By} ({(asked.Why.Length == 0 ? "no reason given" : asked.Why)}): {answer.Words}";
        undone = undone.Say(now, "undone", EventLevel.Info, words);
        return (Standing(stage, incident), stage.Phase) switch
        {
            ({ } act, Phase.Running running) => GoBack(undone, act, running.Gang, words, seen, now),
            (null, Phase.Running running) when stage.Shrunk?.Layout is not null =>
                undone.Stop(running.Gang, new Ending.Relaunch(words, now), words, now, stage.Policy.SaveWithin),
            _ => (undone with { Avoid = stage.Avoid.RemoveAll(a => a.Node.Name == incident.Diagnosis?.Node) }).To(stage.Phase, words),
        };
    }

    private static Decision Said(Stage stage, string words, EventLevel level, DateTimeOffset now) =>
        stage.Say(now, "not-undone", level, words).To(stage.Phase, stage.Reason);

    private static string? Refusal(Stage stage, Incident incident, IncidentDecision decision, Observation seen)
    {
        string instead = Instead(stage, decision);
        if (incident.Undone)
        {
            return "it was taken back already";
        }

        if (Standing(stage, incident) is { } act)
        {
            return stage.Phase is not Phase.Running ? "the stage does not train at the moment: ask again when it does"
                : act.RateFrom > 0 && (seen.Latest?.Step ?? 0) >= act.RateUntil
                    ? $"the lowered rate ended by itself at step {act.RateUntil}. {instead}"
                : act.FirstBatch > 0 && Passed(stage, act)
                    ? $"batches {act.FirstBatch} to {act.LastBatch} have been passed: what was trained since was trained without them. "
                        + instead
                : act is { FirstBatch: 0, RateFrom: 0 } ? $"the same batches were trained again, and nothing was left out. {instead}"
                : null;
        }

        if (decision.Rung == AnotherGang.Rung.Name)
        {
            return stage.Shrunk?.Layout is { } layout && stage.Phase is Phase.Running
                ? seen.Placement is PlacementDecision.Placed ? null
                    : $"it trains on {layout.InWords}, and there is no room for all of them: "
                        + (seen.Placement?.Reason ?? "placement has not answered yet")
                : stage.Avoid.Any(a => a.Node.Name == incident.Diagnosis?.Node) ? null
                    : $"{incident.Diagnosis?.Node} is not avoided any more, and the gang that was made has trained since. {instead}";
        }

        return decision.Rung == WithoutBatch.Rung.Name ? $"the batch that was left out gives a number that is not finite. {instead}"
            : $"what was launched again has trained since. {instead}";
    }

    private static string Instead(Stage stage, IncidentDecision decision)
    {
        string retry = $"`dsops retry {stage.Id.Run} --stage {stage.Id.Stage} --from ";
        var named = CheckpointChoice.Named(stage.Checkpoints);
        long? before = named.Where(s => s <= decision.GoesOnFrom).Select(s => (long?)s).Max();
        return before is { } step ? $"{retry}{step}` goes on from the checkpoint of step {step}, as it was before"
            : $"No checkpoint of before is left; {retry}0` begins the stage again";
    }

    private static string What(Stage stage, Incident incident, Observation seen)
    {
        long from = CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0;
        long again = Math.Max(0, (seen.Latest?.Step ?? from) - from);
        string back = $"all ranks go on from step {from}, and {Words.Count((int)Math.Min(again, int.MaxValue), "step is", "steps are")} "
            + "made again";
        return Standing(stage, incident) switch
        {
            { RateFrom: > 0 } => $"the learning rate is the recipe's again; {back}",
            { FirstBatch: > 0 } act => $"batches {act.FirstBatch} to {act.LastBatch} are trained after all; {back}",
            _ when stage.Shrunk?.Layout is { } layout && stage.Phase is Phase.Running =>
                $"the gang saves, ends, and is formed again on all {layout.Of} nodes",
            _ => $"{incident.Diagnosis?.Node} may be used by this stage again; the gang that trains stays where it is",
        };
    }

    private static LossAct? Standing(Stage stage, Incident incident) => incident.Decision?.Rung == LossRise.Rung.Name
        ? stage.LossActs.LastOrDefault(a => a.Stands) : null;

    /// <summary>What is gone on from has trained beyond the first of them.</summary>
    private static bool Passed(Stage stage, LossAct act) =>
        BatchOrder.BatchOf(CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0,
            BatchOrder.LeftOut(stage.LeftOut, stage.LossActs)) >= act.FirstBatch;

    /// <summary>
    /// What was made in the rise stays out of use, and steps that were made with the lower rate stay so: only what is to come changes.
    /// </summary>
    private static Decision GoBack(Stage stage, LossAct act, GangGrant gang, string words, Observation seen, DateTimeOffset now)
    {
        long from = CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0;
        long step = seen.Latest?.Step ?? stage.LaunchedFrom;
        var cut = act with { FirstBatch = 0, LastBatch = 0, RateUntil = Math.Min(act.RateUntil, from) };
        cut = cut.RateUntil < cut.RateFrom ? cut with { RateFrom = 0, RateUntil = 0, RateFactor = 1 } : cut;
        int place = stage.LossActs.LastIndexOf(act);
        return (stage with
        {
            LossActs = stage.LossActs.SetItem(place, cut),
            Incident = new Failure(FailureCause.RolledBack, words, "", gang.Nodes[0], false, stage.Attempt, step, now, now),
        }).RestartInPlace(gang, now);
    }
}
