using System.Collections.Immutable;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>A person's hand on a run's automation.</summary>
/// <param name="Stage">With an incident: its stage. Empty: the whole run.</param>
/// <param name="Incident">0: none in particular.</param>
/// <param name="By">Who, as they name themselves.</param>
public sealed record HandAsked(string Stage, int Incident, string By, string Why)
{
    /// <summary>How long a hold lasts by itself. Null: until a person ends it.</summary>
    public TimeSpan? For { get; init; }
}

public enum HandVerb
{
    Hold = 0,
    Release = 1,
    Take = 2,
    Undo = 3,
}

/// <summary>Hold, release, take over, give back and take back. They only say what is wanted; stages go there.</summary>
public static class RunHolds
{
    public static CommandDecision Decide(
        Run run, HandVerb verb, HandAsked asked, ImmutableArray<StageReport?> reports, DateTimeOffset now) => verb switch
        {
            HandVerb.Hold => Hold(run, asked, reports, now),
            HandVerb.Release => Release(run, asked, now),
            HandVerb.Take => Take(run, asked, reports, now),
            HandVerb.Undo => Undo(run, asked, reports, now),
            _ => throw new System.Diagnostics.UnreachableException($"verb {verb}"),
        };

    public static CommandDecision Hold(Run run, HandAsked asked, ImmutableArray<StageReport?> reports, DateTimeOffset now) =>
        Refusal(run, asked, reports, now) is { } refusal ? new CommandDecision.Refuse(refusal)
            : Lay(run, asked, taken: false, "held", "automation is held", now);

    public static CommandDecision Take(Run run, HandAsked asked, ImmutableArray<StageReport?> reports, DateTimeOffset now) =>
        Refusal(run, asked, reports, now) is { } refusal ? new CommandDecision.Refuse(refusal)
            : Lay(run, asked, taken: true, "taken-over", $"incident {asked.Incident} of {asked.Stage} is taken over", now);

    /// <summary>Ends whatever hold there is, whoever laid it on: the one who did may be asleep.</summary>
    public static CommandDecision Release(Run run, HandAsked asked, DateTimeOffset now) =>
        run.Held is not { } hold || !hold.Stands(now)
            ? new CommandDecision.Refuse($"Nobody holds run {run.Name}, and nobody has taken an incident of it over")
            : new CommandDecision.Take((run with
            {
                Held = hold with { EndedAt = now, EndedBy = asked.By, EndedWhy = asked.Why },
            }).Say(now, hold.Taken ? "given-back" : "released", EventLevel.Info,
                $"{(hold.Taken ? $"incident {hold.Incident} of {hold.Stage} is given back" : "automation is released")} by {asked.By}: "
                + $"{Or(asked.Why)}; it was {hold.InWords}"));

    public static CommandDecision Undo(Run run, HandAsked asked, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        if (run.Phase.Terminal)
        {
            return new CommandDecision.Refuse(Over(run));
        }

        var incident = Newest(run, asked.Stage, reports);
        string why = incident is null || incident.Number != asked.Incident
            ? $"Incident {asked.Incident} of {asked.Stage} is not its newest: what followed it was done on top of it. "
                + $"`dsops retry {run.Name} --stage {asked.Stage} --from STEP` goes back to a checkpoint"
            : incident.Undo is not { } answer ? $"Nothing was done for incident {asked.Incident} of {asked.Stage}"
            : answer.Can ? "" : $"Incident {asked.Incident} of {asked.Stage} cannot be taken back: {answer.Words}";
        return why.Length > 0 ? new CommandDecision.Refuse(why)
            : new CommandDecision.Take((run with
            {
                Undo = new UndoWish((run.Undo?.Asked ?? 0) + 1, asked.Stage, asked.Incident, asked.By, asked.Why),
            }).Say(now, "undo-asked", EventLevel.Info,
                $"{asked.By} takes back what was done for incident {asked.Incident} of {asked.Stage}: {Or(asked.Why)}"));
    }

    /// <summary>What has ended by itself, with the time or the incident that it was for. Null: nothing has.</summary>
    public static RunDecision? Ended(Run run, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        if (run.Held is not { EndedAt: null } hold)
        {
            return null;
        }

        string why = hold.Until is { } until && now >= until ? "its time is over"
            : hold.Stage.Length > 0 && (run.Current == run.Stages.Length || run.Stages[run.Current].Work.Name != hold.Stage)
                ? $"stage {hold.Stage} is not the run's any more"
            : !hold.Taken && hold.Incident > 0 && Newest(run, hold.Stage, reports) is { } newest
                && (newest.Number > hold.Incident || newest.State == IncidentState.Closed) ? $"incident {hold.Incident} is over" : "";
        if (why.Length == 0)
        {
            return null;
        }

        var next = (run with { Held = hold with { EndedAt = now, EndedWhy = why } })
            .Say(now, "released", EventLevel.Info, $"automation is released by itself, since {why}; it was {hold.InWords}");
        return new RunDecision(next, [], run.Reason);
    }

    private static CommandDecision.Take Lay(Run run, HandAsked asked, bool taken, string kind, string what, DateTimeOffset now)
    {
        var hold = new PersonsHold(asked.By, asked.Why, now)
        {
            Until = asked.For is { } lasts ? now + lasts : null,
            Stage = asked.Stage,
            Incident = asked.Incident,
            Taken = taken,
        };
        string until = hold.Until is { } end ? $"until {end:yyyy-MM-dd HH:mm:ss} UTC" : taken ? "until it is given back" : "until released";
        return new CommandDecision.Take((run with { Held = hold }).Say(now, kind, EventLevel.Warning,
            $"{what} by {asked.By} {until}: {Or(asked.Why)}; nothing is ended or launched again by itself, and it says what it would do"));
    }

    private static string? Refusal(Run run, HandAsked asked, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        if (run.Phase.Terminal || run.Intent == Intent.Cancel)
        {
            return Over(run);
        }

        if (run.Held is { } hold && hold.Stands(now) && hold.By != asked.By)
        {
            string verb = hold.Taken ? "give-back" : "release";
            return $"Run {run.Name} is {hold.InWords} ({Or(hold.Why)}); `dsops incidents {verb} {run.Name}` ends that first";
        }

        return asked.Incident == 0 ? null
            : Newest(run, asked.Stage, reports) is not { } newest || newest.Number != asked.Incident
                ? $"Incident {asked.Incident} of {asked.Stage} is not its newest; nothing more is done about it"
            : newest.State == IncidentState.Closed ? $"Incident {asked.Incident} of {asked.Stage} is closed: nothing more is done about it"
            : null;
    }

    private static string Over(Run run) => $"Run {run.Name} is {RunCommands.NameOf(run.Phase)}: nothing is done about it by itself any "
        + $"more; `dsops retry {run.Name}` begins it again";

    private static IncidentReport? Newest(Run run, string stage, ImmutableArray<StageReport?> reports) =>
        run.Stages.Any(s => s.Work.Name == stage) ? reports[run.IndexOf(stage)]?.Incident : null;

    private static string Or(string why) => why.Length == 0 ? "no reason given" : why;
}
