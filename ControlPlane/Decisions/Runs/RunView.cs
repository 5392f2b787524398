using System.Collections.Immutable;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>A run as people see it, at one moment.</summary>
/// <param name="State">"queued", "running", "pausing", "paused", "cancelling", "completed", "failed", "cancelled".</param>
/// <param name="PipelineText">The pipeline as it was submitted.</param>
public sealed record RunView(
    string Name, string Team, string State, string Reason, DateTimeOffset SubmittedAt, DateTimeOffset? EndedAt,
    ImmutableArray<StageView> Stages, string PipelineText, bool Simulated)
{
    /// <summary>When state and reason were last decided. Null: they do not change by themselves.</summary>
    public DateTimeOffset? AsOf { get; init; }

    public bool Ended => State is "completed" or "failed" or "cancelled";
}

/// <summary>How old a view may be before it has to say so.</summary>
public static class Freshness
{
    /// <summary>A tick is due each second and a page repaints twice a second: who sees more than a few of them missing has to know.</summary>
    public static readonly TimeSpan Fresh = TimeSpan.FromSeconds(5);

    /// <summary>Null: it is as good as of now.</summary>
    public static DateTimeOffset? Told(DateTimeOffset? asOf, DateTimeOffset now) => asOf is { } at && now - at > Fresh ? at : null;
}
