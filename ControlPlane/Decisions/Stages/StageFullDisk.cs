using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// A file system that has no room for checkpoints, as an incident: training goes on, and what it makes is kept by none until there is room.
/// </summary>
internal static class StageFullDisk
{
    public const string Cause = "disk full";

    /// <summary>Null: no save has failed for want of room.</summary>
    public static Stage? Found(Stage stage, GangGrant gang, int number, Observation seen, DateTimeOffset now)
    {
        if (seen.News.Notes.FirstOrDefault(n => n.FullDisk.Length > 0 && n.Attempt == stage.Attempt) is not { } note)
        {
            return null;
        }

        long step = seen.Latest?.Step ?? stage.LaunchedFrom;
        long kept = CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0;
        string sentence = $"the disk is full: {note.FullDisk} has no room for the checkpoints of {stage.Id}";
        string fix = $"free space on {note.FullDisk}, or set checkpoints.keep lower";
        var diagnosis = new Diagnosis(now, Cause, sentence, "disk-full", fix, note.Text, null, note.Node, stage.Attempt, step,
            [new RefusedTheory("a fault of the program", "the system itself refuses the write"),
                new RefusedTheory("the rank is broken", $"it trains on, and is at step {step}")]);
        var decision = new IncidentDecision(now, $"it is reported, and the gang trains on; step {kept} is what is kept",
            IncidentDecision.Advice, kept, [new RefusedRemedy("a restart", $"it would go back to step {kept} and find the same disk")]);
        var began = new Incident(stage.Id, number, IncidentState.Diagnosed, now, "", gang.Slots, []);
        return stage.Say(now, "disk-full", EventLevel.Error, sentence) with
        {
            NewestIncident = IncidentMachine.Tell(began, diagnosis, decision, note.At < now ? note.At : now, []),
        };
    }

    /// <summary>The next checkpoint that is durable ends it.</summary>
    public static Incident Moved(Incident open, Stage stage, DateTimeOffset now) =>
        CheckpointChoice.Newest(stage.Checkpoints) is { Made: var made } && made.Step > open.Diagnosis?.Step
            ? IncidentMachine.Over(
                open, $"there is room again: the checkpoint of step {made.Step} is durable", TimeSpan.Zero, "", made.Step, now)
            : open;
}
