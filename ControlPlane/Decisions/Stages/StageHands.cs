using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Tells a stage's newest incident whose hand is on it. Level-triggered, as all that a run wants of its stages.</summary>
internal static class StageHands
{
    /// <summary>Before anything is decided: what is given back is open again, and what is decided next is part of it.</summary>
    public static Stage Take(Stage stage, DateTimeOffset now)
    {
        if (stage.NewestIncident is not { } incident)
        {
            return stage;
        }

        var next = Moved(stage, incident, now);
        return ReferenceEquals(next, incident) ? stage : stage with { NewestIncident = next };
    }

    private static Incident Moved(Stage stage, Incident incident, DateTimeOffset now)
    {
        var hold = StageHolding.Of(stage, now);
        if (incident.TakenBy.Length > 0 && stage.Phase is Phase.Completed or Phase.Cancelled)
        {
            string why = $"{incident.TakenBy} took it over, and it has ended";
            return IncidentMachine.Leave(IncidentMachine.GiveBack(incident, null, now), why, now);
        }

        return hold is { Taken: true } taken && taken.Incident == incident.Number ? IncidentMachine.Take(incident, taken, now)
            : incident.TakenBy.Length > 0 ? IncidentMachine.GiveBack(incident, stage.Wish.Held, now)
            : IncidentMachine.Hold(incident, hold, now);
    }
}
