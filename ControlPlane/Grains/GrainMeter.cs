using System.Collections.Immutable;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// What grains count as it happens. What they are at a moment is not counted: who wants to know it asks. Of this process, since it began.
/// </summary>
internal static class GrainMeter
{
    public const string Name = "DeepSeekOps.Grains";

    /// <summary>A beat whose words were taken.</summary>
    public const string Taken = "taken";

    /// <summary>Of an attempt, a gang or an agent that is over.</summary>
    public const string Superseded = "superseded";

    /// <summary>At the door, before any stage heard of it: another gang's, or no message of an agent's.</summary>
    public const string Refused = "refused";

    /// <summary>In place takes seconds, another gang of a large cluster up to an hour; between them doubled about twice a decade.</summary>
    private static readonly InstrumentAdvice<double> Recovery = new()
    {
        HistogramBucketBoundaries = [1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 3_600],
    };

    /// <summary>From a look into memory to a write that waits for a disk.</summary>
    private static readonly InstrumentAdvice<double> Call = new()
    {
        HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    };

    private static readonly Meter Meter = new(Name);

    private static readonly Counter<long> Beats = Meter.CreateCounter<long>(
        "dsops.beats", null,
        "Agents' heartbeats, by what became of them: taken, superseded (of an attempt or agent that is over), refused.");

    private static readonly Counter<long> Remedies = Meter.CreateCounter<long>(
        "dsops.remedies", null, "Decisions about what failed, by its cause and the rung of the ladder that decided.");

    private static readonly Counter<long> Recoveries = Meter.CreateCounter<long>(
        "dsops.recoveries", null, "Recoveries that came to a new step, by cause and rung.");

    private static readonly Histogram<double> RecoveryTime = Meter.CreateHistogram(
        "dsops.recovery", "s", "From a failure to the first new step.", advice: Recovery);

    private static readonly Counter<long> Ends = Meter.CreateCounter<long>(
        "dsops.incidents.ended", null, "Incidents that came to an end: closed, or handed to a person (needs_human), by cause.");

    private static readonly Counter<long> Calls = Meter.CreateCounter<long>(
        "dsops.grain.calls", null, "Calls that runs, stages and the cluster answered, by outcome.");

    private static readonly Histogram<double> CallTime = Meter.CreateHistogram(
        "dsops.grain.call.duration", "s", "How long calls of runs, stages and the cluster took in the grain.", advice: Call);

    /// <summary>
    /// With nothing in them yet: what rises from nothing to its first is seen as a rise only where nothing was told before.
    /// </summary>
    public static void Begin()
    {
        Array.ForEach([Taken, Superseded, Refused], outcome => Beats.Add(0, new KeyValuePair<string, object?>("outcome", outcome)));
        foreach (var cause in Enum.GetValues<FailureCause>())
        {
            foreach (var end in new[] { IncidentState.Closed, IncidentState.NeedsHuman })
            {
                Ends.Add(0, Cause(cause.InWords()), new("outcome", Label(end)));
            }
        }
    }

    public static void Beat(string outcome) => Beats.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    public static void Count(ImmutableArray<IncidentNews> news)
    {
        foreach (var one in news)
        {
            switch (one)
            {
                case IncidentNews.Decided decided:
                    Remedies.Add(1, Cause(decided.Cause), Rung(decided.Rung));
                    break;
                case IncidentNews.Back back:
                    Recoveries.Add(1, Cause(back.Cause), Rung(back.Rung));
                    RecoveryTime.Record(back.Took.TotalSeconds, Cause(back.Cause));
                    break;
                case IncidentNews.Came came:
                    Ends.Add(1, Cause(came.Cause), new("outcome", Label(came.To)));
                    break;
                case IncidentNews.Traced:
                    // Its seconds are counted as it comes back.
                    break;
                default:
                    throw new UnreachableException($"news {one}");
            }
        }
    }

    public static void Called(string grain, string method, string outcome, TimeSpan took)
    {
        Calls.Add(1, new("grain", grain), new("method", method), new("outcome", outcome));
        CallTime.Record(took.TotalSeconds, new KeyValuePair<string, object?>("grain", grain));
    }

    /// <summary>"needs_human": states as labels, here and at the door.</summary>
    public static string Label(IncidentState state) =>
        state == IncidentState.NeedsHuman ? "needs_human" : state.ToString().ToLowerInvariant();

    private static KeyValuePair<string, object?> Cause(string words) => new("cause", Label(words));

    private static KeyValuePair<string, object?> Rung(string words) => new("rung", Label(words));

    public static string Label(string words) => words.Replace(' ', '_').Replace('-', '_');
}

/// <summary>Counts the calls of our own grains; Orleans' own calls among silos are its own business.</summary>
internal sealed class GrainCallMeter : IIncomingGrainCallFilter
{
    private const string Ours = "DeepSeekOps.ControlPlane.Grains.I";
    private const string Grain = "Grain";

    public async Task Invoke(IIncomingGrainCallContext context)
    {
        if (context.InterfaceName is not { } of || !of.StartsWith(Ours, StringComparison.Ordinal)
            || !of.EndsWith(Grain, StringComparison.Ordinal))
        {
            await context.Invoke();
            return;
        }

        long began = TimeProvider.System.GetTimestamp();
        string outcome = "failed";
        try
        {
            await context.Invoke();
            outcome = "ok";
        }
        finally
        {
            GrainMeter.Called(of[Ours.Length..^Grain.Length].ToLowerInvariant(), context.MethodName, outcome,
                TimeProvider.System.GetElapsedTime(began));
        }
    }
}
