using System.Collections.Immutable;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// A recovery as one trace, told when all that will be heard of it is. It is <see cref="RecoveryTrace"/>, which the incident's page and
/// `dsops why` show too. Nothing is made where nobody listens.
/// </summary>
internal static class RecoverySpans
{
    public const string Name = "DeepSeekOps.Recovery";
    public const string AgentName = "DeepSeekOps.Agent";
    public const string RankName = "DeepSeekOps.Rank";

    private static readonly ActivitySource Source = new(Name);
    private static readonly ActivitySource Agents = new(AgentName);
    private static readonly ActivitySource Ranks = new(RankName);

    /// <param name="news">Of one whose trace is whole it is told.</param>
    /// <param name="log">What the log says of it is said within the trace.</param>
    public static void Tell(IncidentNews news, Action<Incident>? log = null)
    {
        if (news is not IncidentNews.Traced { Of: var incident })
        {
            return;
        }

        if (!Source.HasListeners())
        {
            log?.Invoke(incident);
            return;
        }

        // A trace of its own, and no part of whichever call this grain answers at the moment.
        var before = Activity.Current;
        Activity.Current = null;
        try
        {
            Tell(incident, RecoveryTrace.Of(incident), log);
        }
        finally
        {
            Activity.Current = before;
        }
    }

    private static void Tell(Incident incident, ImmutableArray<RecoverySpan> spans, Action<Incident>? log)
    {
        var trace = ActivityTraceId.CreateFromString(RecoveryTrace.IdOf(incident));
        foreach (var (span, whole) in spans.Select((span, at) => (span, at == 0)))
        {
            var source = span.Rank is not null ? Ranks : span.Node.Length > 0 ? Agents : Source;
            var parent = whole ? default : new ActivityContext(
                trace, ActivitySpanId.CreateFromString(span.Parent), ActivityTraceFlags.Recorded);
            using var activity = source.CreateActivity(span.Name, ActivityKind.Internal, parent);
            if (activity is null && whole)
            {
                // The whole is not sampled.
                log?.Invoke(incident);
                return;
            }

            if (activity is not null)
            {
                TraceId(activity) = trace.ToHexString();
                activity.SetStartTime(span.Began.UtcDateTime).Start();
                SpanId(activity) = span.Id;
                Describe(activity, span, incident, whole);
                if (whole)
                {
                    log?.Invoke(incident);
                }

                activity.SetEndTime((span.Began + span.Took).UtcDateTime);
            }
        }
    }

    private static void Describe(Activity activity, RecoverySpan span, Incident incident, bool whole)
    {
        activity.SetTag("dsops.run", incident.Stage.Run).SetTag("dsops.stage", incident.Stage.Stage);
        if (whole)
        {
            Describe(activity, incident);
        }
        else if (span.Node.Length > 0)
        {
            activity.SetTag("host.name", span.Node).SetTag("dsops.node", span.Node).SetTag("dsops.rank", span.Rank);
        }
        else if (span.Name == "launch" && incident.Launch is { } launch)
        {
            activity.SetTag("dsops.attempt", launch.Attempt);
            foreach (var spread in launch.Spreads)
            {
                activity.AddEvent(new ActivityEvent(spread.What, span.Began + span.Took, new ActivityTagsCollection
                {
                    ["dsops.ranks"] = spread.Ranks, ["dsops.median_seconds"] = spread.Median.TotalSeconds,
                    ["dsops.longest_seconds"] = spread.Longest.TotalSeconds, ["dsops.slowest_rank"] = spread.Rank,
                }));
            }
        }
    }

    private static void Describe(Activity span, Incident incident)
    {
        span.SetTag("dsops.incident", incident.Number).SetTag("dsops.gpus", incident.Ranks);
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

        _ = incident.Outcome is { } outcome ? span.SetTag("dsops.first_step", outcome.FirstStep)
            : span.SetStatus(ActivityStatusCode.Error, incident.Sentence);
    }

    /// <summary>
    /// .NET draws span ids by chance and lets nobody give one. Orders have named ours before the span exists, and a control plane that
    /// tells a trace twice has to tell the same; RecoverySpansTests fail where .NET renames the fields.
    /// </summary>
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_spanId")]
    private static extern ref string? SpanId(Activity of);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_traceId")]
    private static extern ref string? TraceId(Activity of);
}
