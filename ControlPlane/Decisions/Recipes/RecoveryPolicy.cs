namespace DeepSeekOps.Decisions.Recipes;

/// <summary>When a stage is brought back, when it is given up, and how long silence is waited for.</summary>
public sealed record RecoveryPolicy
{
    /// <summary>
    /// Restarts of one cause, within <see cref="Window"/> and without a new checkpoint, before the stage fails. Default: 20.
    /// </summary>
    public int MaxRestarts { get; init; } = 20;

    /// <summary>How far back restarts count. Default: 1 hour.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Launches that may end by the same fault of the program without a new checkpoint. Default: 3.</summary>
    public int MaxSameFault { get; init; } = 3;

    /// <summary>
    /// Steps after which a break (a number that is not finite) is forgotten; a second one sooner fails the stage. Default: 500, the longest
    /// stretch of batches that PaLM passed over to get beyond one spike (arXiv 2204.02311 section 5.1).
    /// </summary>
    public int BreakForgottenAfter { get; init; } = 500;

    /// <summary>Wait before the launch after a launch that never made a step; doubles each time. Default: 1 second.</summary>
    public TimeSpan BackOffBase { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest such wait. Default: 5 minutes.</summary>
    public TimeSpan BackOffMax { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A rank hangs when it made no progress for this many times the longest step it needed. Default: 5.</summary>
    public double HangFactor { get; init; } = 5;

    /// <summary>…but never before this. Long enough for an evaluation between two steps. Default: 60 seconds.</summary>
    public TimeSpan HangFloor { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Limit for a rank whose steps have not been timed yet. Default: 10 minutes.</summary>
    public TimeSpan HangUnlearnt { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>From the pods' creation to the first step. Default: 20 minutes.</summary>
    public TimeSpan StartWithin { get; init; } = TimeSpan.FromMinutes(20);

    /// <summary>
    /// A gang's pod that the cluster does not list, and whose agent is silent, counts as gone after this. Default: 10 seconds.
    /// </summary>
    public TimeSpan PodMissingFor { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A node that the cluster calls not ready, and whose agent is silent, counts as lost after this. Default: 30 seconds.
    /// </summary>
    public TimeSpan NodeNotReadyFor { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// An agent that says nothing although the cluster sees its pod run, and although we listened all the time, counts as lost
    /// after this. Default: 10 minutes.
    /// </summary>
    public TimeSpan SilentFor { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>After this without a beat, views show a rank as unknown. Changes nothing else. Default: 5 seconds.</summary>
    public TimeSpan UnknownAfter { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a gang may take to save when it is paused. Default: 1 minute.</summary>
    public TimeSpan SaveWithin { get; init; } = TimeSpan.FromMinutes(1);
}
