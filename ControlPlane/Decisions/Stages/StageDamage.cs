using System.Globalization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// A checkpoint that was found damaged while its stage trains, as an incident: nothing is lost yet, and more would be than usual if a rank
/// failed now. So another one is saved at once.
/// </summary>
internal static class StageDamage
{
    public const string Cause = "checkpoint damaged";

    /// <param name="then">What is gone on from instead, in words.</param>
    public static Incident Begin(
        Stage stage, GangGrant gang, RefusedCheckpoint refused, long step, int number, string then, Observation seen, DateTimeOffset now)
    {
        long kept = CheckpointChoice.Newest(stage.Checkpoints)?.Made.Step ?? 0;
        long at = Math.Max(step, seen.Latest?.Step ?? stage.LaunchedFrom);
        string sentence = string.Create(CultureInfo.InvariantCulture,
            $"the checkpoint of step {step} is damaged: {refused.Reason}");
        var diagnosis = new Diagnosis(now, Cause, sentence, "checkpoint-damaged",
            "look at the disk and the file system under the checkpoints (kernel log, SMART, the storage's own check) if it comes again", "",
            null, gang.Nodes[0].Name, stage.Attempt, step,
            [new RefusedTheory("the weights of the ranks are wrong", $"the ranks train on, and are at step {at}"),
                new RefusedTheory("it was read wrongly", "it was read twice, with the same result")]);
        string saved = kept < step ? "another one is asked for at once" : "a newer one is there";
        var decision = new IncidentDecision(now, $"it is not used again and lies aside; {then}; {saved}", IncidentDecision.Advice, kept,
            [new RefusedRemedy("a restart", "what the ranks hold is whole, and a restart would go back to what is older")]);
        return IncidentMachine.Tell(
            new Incident(stage.Id, number, IncidentState.Diagnosed, now, "", gang.Slots, []), diagnosis, decision, now, []);
    }

    /// <summary>A checkpoint out of turn, where the newest is the damaged one.</summary>
    public static Stage SaveAgain(Stage stage, long step) =>
        stage.Phase is Phase.Running { Save: null } running && (CheckpointChoice.Newest(stage.Checkpoints)?.Made.Step ?? 0) < step
            ? stage with
            {
                Phase = running with { Save = new SaveRequest($"the checkpoint of step {step} is damaged", step) { Stays = true } },
            }
            : stage;

    /// <summary>A later one that was read whole ends it.</summary>
    public static Incident Moved(Incident open, Stage stage, DateTimeOffset now) =>
        stage.Checkpoints.LastOrDefault(c => c.Usable && c.Trust is not null && c.Made.Step > open.Diagnosis?.Step) is
        { Made: var made, Trust: { } trust }
            ? IncidentMachine.Over(open, $"the checkpoint of step {made.Step} was made and read whole by {trust.By}", TimeSpan.Zero, "",
                made.Step, now)
            : open;
}
