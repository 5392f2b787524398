using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// What whoever watches a stage's gang may know of the stage. The stage itself is a floor above, and says this of itself.
/// </summary>
public sealed record WatchedStage(StageId Id, PipelineSpec Pipeline)
{
    /// <summary>Null: none is held.</summary>
    public GangGrant? Gang { get; init; }

    public Launch Launch { get; init; }

    /// <summary>Its phase by name, which tells one phase from the next.</summary>
    public string Phase { get; init; } = "";

    /// <summary>When the phase was entered, where it may end by itself with time.</summary>
    public DateTimeOffset? PhaseSince { get; init; }

    public int Round { get; init; }

    public int Attempt { get; init; }

    /// <summary>Attempts up to this one belong to earlier rounds.</summary>
    public int RoundBegan { get; init; }

    /// <summary>The newest launch of the current attempt that an agent made by itself; 0: none.</summary>
    public int LocalTry { get; init; }

    /// <summary>Step of the checkpoint that the current attempt goes on from; 0: from the beginning.</summary>
    public long LaunchedFrom { get; init; }

    /// <summary>0: not known.</summary>
    public long TotalSteps { get; init; }

    public RecoveryPolicy Policy { get; init; } = new();

    /// <summary>The first attempt of the layout that it has now.</summary>
    public int LayoutFrom { get; init; }

    /// <summary>Of its whole layout's pace, as it is laid out now.</summary>
    public double Rate { get; init; } = 1;

    /// <summary>
    /// Ranks that do the same work: so many neighbours each, and by so many times one of them may have more of it than another.
    /// </summary>
    public (int Ranks, double Uneven) Peers { get; init; } = (1, 1);

    public ImmutableArray<StageCheckpoint> Checkpoints { get; init; } = [];

    public ImmutableArray<LeftOutBatch> LeftOut { get; init; } = [];

    /// <summary>What was done about losses that rose, oldest first.</summary>
    public ImmutableArray<LossAct> LossActs { get; init; } = [];

    /// <summary>What was known of the losses at checkpoints, oldest first.</summary>
    public ImmutableArray<LossMemory> LossMemories { get; init; } = [];

    /// <summary>The run is being held already. Empty: it is not.</summary>
    public string Hold { get; init; } = "";

    /// <summary>Numbers of all batches that are not trained, each once.</summary>
    public ImmutableArray<long> BatchesLeftOut => BatchOrder.LeftOut(LeftOut, LossActs);

    /// <summary>The newest sample that is written down.</summary>
    public StepSample? Latest { get; init; }

    /// <summary>When the failure was noticed that is being recovered from. Null: none is.</summary>
    public DateTimeOffset? IncidentNoticedAt { get; init; }
}

/// <summary>Whether a first step is waited for.</summary>
public enum Launch
{
    /// <summary>None is: it trains, or is not to.</summary>
    None = 0,
    /// <summary>In a new gang, whose pods are still being made.</summary>
    NewGang = 1,
    /// <summary>In the pods that are there.</summary>
    InPlace = 2,
}
