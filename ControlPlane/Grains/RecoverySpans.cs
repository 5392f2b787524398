using System.Diagnostics;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// A recovery as one trace, told when it has come to an end. Its parts are what the incident has recorded, so that the trace, the
/// incident's page and `dsops why` say the same. Nothing is made where nobody listens.
/// </summary>
internal static class RecoverySpans
{
    public const string Name = "DeepSeekOps.Recovery";

    private static readonly ActivitySource Source = new(Name);

    /// <param name="news">What just became of it: a first new step, or that it was handed to a person.</param>
    public static void Tell(Incident incident, IncidentNews news)
    {
        if (!Source.HasListeners())
        {
            return;
        }

        // A trace of its own, and no part of whichever call this grain answers at the moment.
        var before = Activity.Current;
        Activity.Current = null;
        try
        {
            switch (news)
            {
                case IncidentNews.Back when incident.Outcome is { } outcome:
                    Whole(incident, outcome.FirstStepAt, span => span.SetTag("dsops.first_step", outcome.FirstStep));
                    break;
                // One that came back and is found to train otherwise was told when it came back.
                case IncidentNews.Came { To: IncidentState.NeedsHuman } when incident is { Outcome: null, Steps: [.., var last] }:
                    Whole(incident, last.At, span => span.SetStatus(ActivityStatusCode.Error, incident.Sentence));
                    break;
                default:
                    break;
            }
        }
        finally
        {
            Activity.Current = before;
        }
    }

    private static void Whole(Incident incident, DateTimeOffset to, Action<Activity> with)
    {
        var from = incident.HappenedAt ?? incident.OpenedAt;
        using var span = Source.StartActivity("recovery", ActivityKind.Internal, default(ActivityContext), startTime: from);
        if (span is null)
        {
            return;
        }

        Describe(span, incident);
        with(span);
        var at = from;
        foreach (var phase in incident.Phases)
        {
            using var part = Source.StartActivity(NameOf(phase), ActivityKind.Internal, default(ActivityContext), startTime: at);
            at += phase.Took;
            part?.SetEndTime(at.UtcDateTime);
        }

        span.SetEndTime((to > from ? to : from).UtcDateTime);
    }

    private static void Describe(Activity span, Incident incident)
    {
        span.SetTag("dsops.run", incident.Stage.Run).SetTag("dsops.stage", incident.Stage.Stage).SetTag("dsops.incident", incident.Number)
            .SetTag("dsops.gpus", incident.Ranks);
        if (incident.Diagnosis is { } found)
        {
            span.SetTag("dsops.cause", GrainMeter.Label(found.Cause)).SetTag("dsops.node", found.Node)
                .SetTag("dsops.attempt", found.Attempt).SetTag("dsops.failed_step", found.Step).SetTag("dsops.rank", found.Rank);
            span.AddEvent(new ActivityEvent("diagnosed", found.At, new ActivityTagsCollection { ["dsops.sentence"] = found.Sentence }));
        }

        if (incident.Decision is { } decided)
        {
            span.SetTag("dsops.rung", GrainMeter.Label(decided.Rung)).SetTag("dsops.goes_on_from", decided.GoesOnFrom);
            span.AddEvent(new ActivityEvent("decided", decided.At, new ActivityTagsCollection { ["dsops.remedy"] = decided.Remedy }));
        }
    }

    /// <summary>What control plane, agent and ranks did, in the order of the incident's phases.</summary>
    private static string NameOf(IncidentPhase phase) => phase.Name switch
    {
        "noticed" => "detect",
        "ended and placed" => "decide and act",
        var name => name,
    };
}
