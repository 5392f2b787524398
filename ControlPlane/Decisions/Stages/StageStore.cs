using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// The checkpoint store behind the folder: what is whole in it, and that it is away, as an incident. Training goes on; what is lost with
/// the folder meanwhile is what the store lacks.
/// </summary>
internal static class StageStore
{
    public const string Cause = "checkpoint store away";

    /// <summary>No line of the timeline: each save has one already, and the list of checkpoints says where they are.</summary>
    public static Stage Take(Stage stage, StoredTold told)
    {
        var all = CheckpointChoice.TakeStored(stage.Checkpoints, told);
        return all == stage.Checkpoints ? stage
            : stage with { Checkpoints = CheckpointChoice.Retain(all, stage.Wish.Work.KeepCheckpoints) };
    }

    /// <summary>Null: no copy has failed.</summary>
    public static Stage? Found(Stage stage, GangGrant gang, int number, Observation seen, DateTimeOffset now)
    {
        if (seen.News.Notes.FirstOrDefault(n => n.StoreAway.Length > 0 && n.Attempt == stage.Attempt) is not { } note)
        {
            return null;
        }

        long step = seen.Latest?.Step ?? stage.LaunchedFrom;
        long kept = CheckpointChoice.ToResume(stage.Checkpoints)?.Made.Step ?? 0;
        long stored = stage.Checkpoints.Where(c => c.Usable && c.Stored is not null).Select(c => c.Made.Step).DefaultIfEmpty(0).Max();
        string there = stored == 0 ? "it has no checkpoint yet" : $"the newest in it is step {stored}";
        string sentence = $"the checkpoint store is away: {note.StoreAway} does not take the checkpoints of {stage.Id}; {there}";
        var diagnosis = new Diagnosis(now, Cause, sentence, "", "what the worker says of it names what to look at", note.Text, null,
            note.Node, stage.Attempt, step, [new RefusedTheory("the disk is full", "checkpoints are durable in their folder")]);
        var decision = new IncidentDecision(now,
            $"it is reported, and the gang trains on; step {kept} is kept in the folder, and what the store lacks is sent when it answers",
            IncidentDecision.Advice, kept, [new RefusedRemedy("a restart", "it would find the same store")]);
        var began = new Incident(stage.Id, number, IncidentState.Diagnosed, now, "", gang.Slots, []);
        return stage.Say(now, "store-away", EventLevel.Warning, sentence) with
        {
            NewestIncident = IncidentMachine.Tell(began, diagnosis, decision, note.At < now ? note.At : now, []),
        };
    }

    /// <summary>The next copy that is whole ends it.</summary>
    public static Incident Moved(Incident open, Stage before, Stage stage, DateTimeOffset now) =>
        stage.Checkpoints.LastOrDefault(c => c.Stored is not null && !before.Checkpoints.Any(b => b.Made == c.Made && b.Stored is not null))
            is { Made: var made } ? IncidentMachine.Over(
                open, $"the store answers again: the checkpoint of step {made.Step} is in it", TimeSpan.Zero, "", made.Step, now)
            : open;
}
