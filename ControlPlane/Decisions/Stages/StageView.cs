using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>A rank as people see it.</summary>
public sealed record RankView(int Rank, string Node, int Pid, RankState State, DateTimeOffset? LastSeen, int AgentPid)
{
    /// <summary>How long ago its agent was heard, by the clock that is not set.</summary>
    public TimeSpan? SeenAgo { get; init; }
}

/// <summary>A stage as people see it, at one moment: what is decided and what was last seen.</summary>
/// <param name="State">
/// "waiting", "queued", "starting", "checking", "running", "restarting", "stopping", "backing-off", "paused", "completed", "failed",
/// "cancelled".
/// </param>
/// <param name="Mfu">Model FLOPs utilisation, 0..1, where the worker measured it.</param>
/// <param name="Phase">What rank 0 does: "4Ki", "rollout", "loading".</param>
/// <param name="Ranks">Each of few; of many the odd ones (<see cref="RankFold"/>).</param>
/// <param name="CheckpointStep">Step of the newest usable checkpoint.</param>
/// <param name="RestartsByCause">Launches beside the first, by cause in words.</param>
public sealed record StageView(
    string Name, string Kind, string State, string Reason, int Attempt, long Step, long TotalSteps, long Tokens, long TotalTokens,
    double? Loss, double? Mfu, double? TokensPerSecond, double? GradNorm, double? LearningRate, string Phase,
    ImmutableArray<RankView> Ranks, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt, TimeSpan? Remaining, long? CheckpointStep,
    ImmutableArray<Evaluation> Evaluations, ImmutableDictionary<string, int> RestartsByCause)
{
    /// <summary>
    /// When state and reason were last decided, with all that had been heard by then. Null: they do not change by themselves.
    /// </summary>
    public DateTimeOffset? AsOf { get; init; }

    /// <summary>Ranks that are not told one by one.</summary>
    public ImmutableArray<RankGroup> FoldedRanks { get; init; } = [];

    /// <summary>The newest checkpoint that was read whole since it was made. Null: none was.</summary>
    public StageCheckpoint? Trusted { get; init; }

    /// <summary>The checkpoint that it begins from; empty: not begun, or from random initialisation.</summary>
    public string BeganFrom { get; init; } = "";

    /// <summary>What is silent and not given up yet, amber; null: everybody is heard.</summary>
    public Silence? Silence { get; init; }

    /// <summary>What is left of it, with its band. Null: nothing measured or planned says it.</summary>
    public StageOutlook? Outlook { get; init; }

    /// <summary>The hold under which nothing of it trains. Null: it trains, or waits for something else.</summary>
    public PersonsHold? Stands { get; init; }

    /// <summary>Step of the newest usable checkpoint that is in the store too. Null: none is.</summary>
    public long? StoredStep { get; init; }

    /// <summary>Where its GPU time went until now. Null: nobody has asked for it yet, or nothing of it is known.</summary>
    public StageAccount? Cost { get; init; }

    /// <summary>
    /// While queued: why it waits, when it should start, and what would start it sooner. Null: not asked yet, or not waiting.
    /// </summary>
    public PlacementDecision.Pending? Pending { get; init; }
}
