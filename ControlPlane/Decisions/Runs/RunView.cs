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
    public bool Ended => State is "completed" or "failed" or "cancelled";
}
