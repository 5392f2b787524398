using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>A run as people see it, at one moment.</summary>
/// <param name="State">"queued", "running", "pausing", "paused", "cancelling", "completed", "failed", "cancelled".</param>
/// <param name="PipelineText">The pipeline as it was submitted.</param>
public sealed record RunView(
    string Name, string Team, string State, string Reason, DateTimeOffset SubmittedAt, DateTimeOffset? EndedAt,
    ImmutableArray<StageView> Stages, string PipelineText, bool Simulated)
{
    /// <summary>Two lines of a list; the whole sentence stands on the run's own page.</summary>
    private const int SummaryReasonMax = 300;

    /// <summary>When state and reason were last decided. Null: they do not change by themselves.</summary>
    public DateTimeOffset? AsOf { get; init; }

    /// <summary>Of its model. 0: written down before this was kept.</summary>
    public long Parameters { get; init; }

    /// <summary>When it will have ended. Null: nothing says it.</summary>
    public RunForecast? Forecast { get; init; }

    /// <inheritdoc cref="RunSubmission.DeclaredBy"/>
    public string DeclaredBy { get; init; } = "";

    /// <inheritdoc cref="Run.Question"/>
    public string Question { get; init; } = "";

    /// <summary>Who holds its automation. Null: nobody.</summary>
    public PersonsHold? Held { get; init; }

    /// <summary>Node groups that its stages ask for; empty: any node.</summary>
    public ImmutableArray<string> Groups { get; init; } = [];

    [JsonIgnore]
    public bool Ended => State is "completed" or "failed" or "cancelled";

    /// <summary>
    /// What a list shows of it. Bounded: neither the pipeline's text nor a line for each rank is in it, so a page of runs stays small
    /// whatever the runs are.
    /// </summary>
    public RunView Summary() => this with
    {
        PipelineText = "",
        Reason = Short(Reason),
        Stages = [.. Stages.Select(s => s with
        {
            Reason = "", Ranks = [], FoldedRanks = [], Evaluations = [], Pending = null, BeganFrom = "", Cost = null,
            RestartsByCause = ImmutableDictionary<string, int>.Empty,
        })],
    };

    private static string Short(string text) =>
        text.Length <= SummaryReasonMax ? text : string.Concat(text.AsSpan(0, SummaryReasonMax - 1), "…");
}

/// <summary>How old a view may be before it has to say so.</summary>
public static class Freshness
{
    /// <summary>
    /// A tick is due each second and a page repaints twice a second: who sees more than a few of them missing has to know.
    /// </summary>
    public static readonly TimeSpan Fresh = TimeSpan.FromSeconds(5);

    /// <summary>Null: it is as good as of now. One of the future is of before the clock was set back.</summary>
    public static DateTimeOffset? Told(DateTimeOffset? asOf, DateTimeOffset now) =>
        asOf is { } at && (now - at).Duration() > Fresh ? at : null;
}
