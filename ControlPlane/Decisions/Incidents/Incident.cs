using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>Where an incident is. <see cref="IncidentMachine"/> owns every transition; docs/states.md draws them.</summary>
public enum IncidentState
{
    /// <summary>Somebody is silent, which may be nothing.</summary>
    Suspected = 0,
    /// <summary>What happened has a name.</summary>
    Diagnosed = 1,
    /// <summary>What was decided is being done; no new step yet.</summary>
    Acting = 2,
    /// <summary>Steps are made again, and are held against what was recorded.</summary>
    Verifying = 3,
    /// <summary>It trains as before, or a person took it over, or it was nothing.</summary>
    Closed = 4,
    /// <summary>Automation has given up, or the numbers came back other than they were.</summary>
    NeedsHuman = 5,
}

/// <summary>The loss of one step.</summary>
public sealed record StepLoss(long Step, double Loss);

/// <summary>What it cannot have been, and why.</summary>
public sealed record RefusedTheory(string Theory, string Because);

/// <summary>What could have been done instead, and why it was not.</summary>
public sealed record RefusedRemedy(string Remedy, string Because);

/// <summary>What was found, with what it was told apart from.</summary>
/// <param name="Class">The dictionary's word on the rank's end; empty: no rank ended.</param>
/// <param name="Rank">Null: no rank is to blame.</param>
public sealed record Diagnosis(
    DateTimeOffset At, string Cause, string Sentence, string Class, string Fix, string Line, int? Rank, string Node, int Attempt, long Step,
    ImmutableArray<RefusedTheory> Refused);

/// <summary>What was decided, by which rung of the ladder, and what was not.</summary>
/// <param name="GoesOnFrom">Step of the checkpoint that the next launch goes on from.</param>
public sealed record IncidentDecision(
    DateTimeOffset At, string Remedy, string Rung, long GoesOnFrom, ImmutableArray<RefusedRemedy> Refused)
{
    /// <summary>The rung that only tells.</summary>
    public const string Advice = "advice";

    /// <summary>A person held the run: nothing was done.</summary>
    public const string Withheld = "held by a person";
}

/// <summary>A checkpoint that is not used again.</summary>
public sealed record RefusedPath(string Path, string Reason);

/// <summary>What came of it, as far as it was measured.</summary>
/// <param name="FirstStep">The first step made again.</param>
/// <param name="FirstLoss">Null: not told yet.</param>
/// <param name="RecordedLoss">Of that same step before the failure. Null: it had not been made, or is not remembered.</param>
/// <param name="Compared">Steps that were made twice and whose losses were compared.</param>
/// <param name="LargestDifference">Between the two losses of one step, over all compared, relative to the recorded.</param>
public sealed record IncidentOutcome(
    DateTimeOffset FirstStepAt, long FirstStep, double? FirstLoss, double? RecordedLoss, int Compared, double LargestDifference)
{
    /// <summary>What the comparison says, in words; empty: not verified yet.</summary>
    public string Proof { get; init; } = "";

    /// <summary>When it was past the step that failed. Null: not yet.</summary>
    public DateTimeOffset? BackAt { get; init; }

    /// <summary>
    /// Of the ranks, from the failure to the first new step and for the steps made again, in hours of their cluster. Null: not known yet.
    /// </summary>
    public double? GpuHours { get; init; }
}

/// <summary>How long one part of the recovery took.</summary>
public sealed record IncidentPhase(string Name, TimeSpan Took);

/// <summary>One line of an incident's own timeline.</summary>
public sealed record IncidentStep(DateTimeOffset At, IncidentState State, string Text);

/// <summary>Something that went wrong with a stage, from the first doubt to the proof that it trains as before.</summary>
/// <param name="Number">From 1 within the stage.</param>
/// <param name="Sentence">What a person reads first.</param>
/// <param name="Ranks">Of the gang: what its GPU-hours are counted by.</param>
public sealed record Incident(
    StageId Stage, int Number, IncidentState State, DateTimeOffset OpenedAt, string Sentence, int Ranks, ImmutableArray<IncidentStep> Steps)
{
    /// <summary>Lines of its timeline; a stage that fails at every launch is ended long before by its budgets.</summary>
    public const int StepsMax = 100;

    /// <summary>
    /// So many seconds of its cluster pass in one of the clock that stamps it; more than 1 only where it is simulated faster.
    /// </summary>
    public double TimeFactor { get; init; } = 1;

    public DateTimeOffset? HappenedAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>Null: it is only suspected.</summary>
    public Diagnosis? Diagnosis { get; init; }

    public IncidentDecision? Decision { get; init; }

    public IncidentOutcome? Outcome { get; init; }

    /// <summary>Losses of steps after the checkpoint that is gone on from, as they were told before the failure; oldest first.</summary>
    public ImmutableArray<StepLoss> Recorded { get; init; } = [];

    public ImmutableArray<IncidentPhase> Phases { get; init; } = [];

    /// <summary>W3C trace id of its recovery. Empty: nothing had to be recovered yet, or an older version began it.</summary>
    public string TraceId { get; init; } = "";

    /// <summary>Until when what nodes did for the launch is waited for. Null: it is not, or all is told.</summary>
    public DateTimeOffset? LaunchDue { get; init; }

    /// <summary>What nodes and ranks did for the launch. Null: nobody told.</summary>
    public LaunchAccount? Launch { get; init; }

    /// <summary>Whose silence it began with. Empty: no single node's, and in what older versions stored.</summary>
    public string SuspectedNode { get; init; } = "";

    /// <summary>Checkpoints that were to be gone on from and were found damaged, with what is wrong with each.</summary>
    public ImmutableArray<RefusedPath> RefusedCheckpoints { get; init; } = [];

    /// <summary>Attempts that failed in it; evidence is kept of each.</summary>
    public ImmutableArray<int> FailedAttempts { get; init; } = [];

    /// <summary>What was done before anybody here knew: an agent launched its rank again by itself. Empty: all was decided here.</summary>
    public string ToldAfterwards { get; init; } = "";

    /// <summary>Who holds the run while it is open, in words. Null: nobody.</summary>
    public string? HeldBy { get; init; }

    /// <summary>Who works on it. Empty: it is automation's, or nobody's yet.</summary>
    public string TakenBy { get; init; } = "";

    /// <summary>With <see cref="TakenBy"/>: where it was, and goes on when it is given back.</summary>
    public IncidentState TakenFrom { get; init; }

    /// <summary>With <see cref="TakenBy"/>: its sentence then.</summary>
    public string SentenceBefore { get; init; } = "";

    /// <summary>What was done for it was taken back by a person.</summary>
    public bool Undone { get; init; }

    /// <summary>
    /// What failed is known, and nothing is done about it for as long as the hold stands.</summary>
    /// <summary>As <see cref="Withheld"/>, also while somebody works on it.
    /// </summary>
    internal bool Withholds => Decision?.Rung == IncidentDecision.Withheld && (State == IncidentState.Diagnosed || TakenBy.Length > 0);

    internal bool Withheld => State == IncidentState.Diagnosed && Decision?.Rung == IncidentDecision.Withheld;

    /// <summary>It is told, and nothing is done about it: the gang trains on.</summary>
    internal bool Advice => State == IncidentState.Diagnosed && Decision?.Rung == IncidentDecision.Advice;

    /// <summary>
    /// Steps that were made and had to be made again. Null: no new step has been made yet. A method, so that it is not
    /// stored.
    /// </summary>
    public long? StepsLost() => this is { Diagnosis: { } found, Outcome: { } outcome }
        ? Math.Max(0, found.Step - (outcome.FirstStep - 1)) : null;

    public bool Open => State is not (IncidentState.Closed or IncidentState.NeedsHuman);

    internal Incident To(IncidentState state, DateTimeOffset at, string text) => this with
    {
        State = state,
        Steps = Steps.Length < StepsMax ? Steps.Add(new IncidentStep(at, state, text)) : Steps,
    };
}
