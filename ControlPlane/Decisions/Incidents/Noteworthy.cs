namespace DeepSeekOps.Decisions.Incidents;

/// <summary>Something that a person may have to be told of, as it is now.</summary>
/// <param name="Key">What it is, whatever becomes of it: "incident mini/pretrain/2", "question mini".</param>
/// <param name="State">Where it is; another one is news of it.</param>
/// <param name="Question">What is asked of a person, with the ways to answer.</param>
/// <param name="Page">Its page, from the root of the dashboard.</param>
/// <param name="Asks">Automation gave up, or waits for an answer. Else it is told only where all incidents are.</param>
public sealed record Noteworthy(string Key, string State, string Title, string Question, string Page, DateTimeOffset At, bool Asks)
{
    public static Noteworthy Of(Incident incident)
    {
        string id = $"{incident.Stage}/{incident.Number}";
        string run = incident.Stage.Run;
        bool asks = incident.State == IncidentState.NeedsHuman && incident.TakenBy.Length == 0;
        string question = asks
            ? $"To do: `dsops why {run}` says what was tried. Once the cause is fixed, `dsops retry {run}` goes on; "
                + $"`dsops incidents take {id}` makes it yours."
            : incident.TakenBy.Length > 0 ? $"{incident.TakenBy} works on it: nothing is asked of you." : "Nothing is asked of you.";
        string state = $"{incident.State}{(incident.TakenBy.Length > 0 ? $" by {incident.TakenBy}" : "")}";
        return new Noteworthy($"incident {id}", state, $"{id}: {incident.Sentence}", question,
            $"/incidents/{run}/{incident.Stage.Stage}/{incident.Number}",
            incident.Steps.IsEmpty ? incident.OpenedAt : incident.Steps[^1].At,
            asks);
    }

    /// <summary>Of a node itself: other nodes take its place, so nobody is asked for anything.</summary>
    public static Noteworthy Of(NodeIncident incident) => new($"incident of node {incident.Id()}", incident.State.ToString(),
        $"{incident.Id()}: {incident.Sentence}", "Nothing is asked of you.", "/incidents",
        incident.Steps.IsEmpty ? incident.OpenedAt : incident.Steps[^1].At, Asks: false);

    /// <summary>A run that stands until somebody answers.</summary>
    public static Noteworthy Of(string run, string question, DateTimeOffset at) =>
        new($"question {run}", question, $"{run} waits for you", question, $"/runs/{run}", at, Asks: true);
}
