using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>All that is remembered of a stage. Written before anything is done about it.</summary>
/// <param name="Wish">What the run wants.</param>
/// <param name="Round">The round being worked on, or ended.</param>
/// <param name="Attempt">Launches so far; the number fences out whatever is older.</param>
/// <param name="RoundBegan">Attempts up to this one belong to earlier rounds.</param>
/// <param name="LaunchedFrom">Step of the checkpoint that the current attempt goes on from; 0: from the beginning.</param>
/// <param name="Reason">Why it is in its phase, in words.</param>
/// <param name="Checkpoints">Oldest first.</param>
/// <param name="Restarts">Launches beside the first since the last new checkpoint, oldest first.</param>
/// <param name="RestartsByCause">All of this round.</param>
/// <param name="Incident">The failure that is being recovered from. Null: none.</param>
/// <param name="Avoid">Nodes that failed this stage, with the reason.</param>
/// <param name="Latest">The newest sample when the record was last written.</param>
/// <param name="Outbox">Events that the ledger may not have yet.</param>
public sealed record Stage(
    StageWish Wish, int Round, Phase Phase, int Attempt, int RoundBegan, long LaunchedFrom, string Reason, DateTimeOffset? StartedAt,
    DateTimeOffset? EndedAt, ImmutableArray<StageCheckpoint> Checkpoints, ImmutableArray<Restart> Restarts,
    ImmutableDictionary<FailureCause, int> RestartsByCause, Failure? Incident, ImmutableArray<AvoidedNode> Avoid,
    ImmutableArray<Evaluation> Evaluations, StepSample? Latest, ImmutableArray<RunEvent> Outbox)
{
    /// <summary>The newest launch of the current attempt that an agent made by itself; 0: none.</summary>
    public int LocalTry { get; init; }

    /// <summary>
    /// The current attempt goes on from what its ranks had kept in memory; <see cref="LaunchedFrom"/> need have no checkpoint then.
    /// </summary>
    public bool FromMemory { get; init; }

    /// <summary>Steps that the attempt before had made and this one makes again; null: no rank has told where it goes on from.</summary>
    public int? StepsAgain { get; init; }

    /// <summary>
    /// Batches that no launch trains, in the order in which they broke. Kept by a retry that goes on; one from a named step trains those
    /// after it anew.
    /// </summary>
    public ImmutableArray<LeftOutBatch> LeftOut { get; init; } = [];

    /// <summary>What was done about losses that rose and stayed up, oldest first.</summary>
    public ImmutableArray<LossAct> LossActs { get; init; } = [];

    /// <summary>
    /// A loss that rose and stayed up, and is not answered yet: a gang that is preempted in between does not make it unseen. Null: none.
    /// </summary>
    public SpikeVerdict? Rise { get; init; }

    /// <summary>What was known of the losses at the newest checkpoints, oldest first.</summary>
    public ImmutableArray<LossMemory> LossMemories { get; init; } = [];

    /// <summary>Why the run is to be held for a person. Empty: it is not.</summary>
    public string Hold { get; init; } = "";

    /// <summary>The newest incident, over or not. Null: there was none, or an older version wrote this.</summary>
    public Incident? NewestIncident { get; init; }

    /// <summary>
    /// The one before it, as it ended: the ledger may not have heard of its end when the next one began. Null: there was none.
    /// </summary>
    public Incident? IncidentBefore { get; init; }

    /// <summary>The newest <see cref="UndoWish"/> that it has answered; 0: none.</summary>
    public int UndoAnswered { get; init; }

    /// <summary>It lost nodes and has not had all that it asks for since. Null: nothing is missing.</summary>
    public ShrunkGang? Shrunk { get; init; }

    /// <summary>The first attempt of the layout that it has now; earlier ones may have had another, and another pace.</summary>
    public int LayoutFrom { get; init; }

    /// <summary>When it went on with fewer nodes, the newest times.</summary>
    public ImmutableArray<DateTimeOffset> ShrunkAt { get; init; } = [];

    /// <summary>How long it was without nodes that it lost, each time.</summary>
    public ImmutableArray<TimeSpan> Returns { get; init; } = [];

    /// <summary>From the making of its newest gang's pods to the first step. Null: none was timed.</summary>
    public TimeSpan? LaunchTook { get; init; }

    /// <summary>Where its GPU time went. Null: nobody has asked for it yet, or an older version wrote this.</summary>
    public StageAccount? Account { get; init; }

    /// <summary>The checkpoint that its agents read again. Null: none is due, or it does not train.</summary>
    public CheckpointReading? Reading { get; init; }

    /// <summary>The newest reading's; 0: there was none.</summary>
    public long ReadingId { get; init; }

    /// <summary>Numbers of attempts that were passed over when the database was put back from a backup: they are no launches.</summary>
    public int AttemptsSkipped { get; init; }

    [JsonIgnore]
    public StageId Id => Wish.Stage;

    [JsonIgnore]
    public RecoveryPolicy Policy => Wish.Work.Recovery;

    /// <summary>What its watchers may know of it.</summary>
    [JsonIgnore]
    public WatchedStage Watched => new(Id, Wish.Pipeline)
    {
        Gang = Phase.GangOrNull,
        Launch = Phase switch { Phase.Starting => Launch.NewGang, Phase.Restarting => Launch.InPlace, _ => Launch.None },
        Phase = Phase.GetType().Name,
        PhaseSince = Phase.SinceOrNull,
        Round = Round,
        Attempt = Attempt,
        RoundBegan = RoundBegan,
        LocalTry = LocalTry,
        LaunchedFrom = LaunchedFrom,
        TotalSteps = Wish.Work.TotalSteps,
        Policy = Policy,
        Checkpoints = Checkpoints,
        LeftOut = LeftOut,
        LossActs = LossActs,
        LossMemories = LossMemories,
        Hold = Hold,
        Latest = Latest,
        IncidentNoticedAt = Incident?.NoticedAt,
        LayoutFrom = LayoutFrom,
        Rate = Shrunk?.Layout?.Rate ?? 1,
        Peers = StagePeers.Of(this),
    };

    /// <summary>A stage nobody has asked for yet.</summary>
    public static Stage New(StageWish wish) => new(
        wish, wish.Round, new Phase.Waiting(), wish.Work.AttemptsBefore, 0, 0, "not asked for yet", null, null, [], [],
        ImmutableDictionary<FailureCause, int>.Empty, null, [], [], null, []);
}
