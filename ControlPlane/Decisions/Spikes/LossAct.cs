using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Spikes;

public enum LossMove
{
    /// <summary>Back, and the same batches once more: whether the machine or the data was why.</summary>
    Replay = 0,
    RollBack = 1,
    Skip = 2,
    LowerRate = 3,
}

public enum LossOutcome
{
    /// <summary>It is not known yet.</summary>
    Open = 0,
    /// <summary>The loss is where it was before the rise.</summary>
    Verified = 1,
    /// <summary>It rose again, or stayed up.</summary>
    CameAgain = 2,
    /// <summary>A person took it back.</summary>
    TakenBack = 3,
}

/// <summary>What was done about a loss that rose and stayed up. Kept in the stage's record: each launch to come hangs on it.</summary>
/// <param name="FlaggedAt">Step of the flag.</param>
/// <param name="JudgedAt">Step at which it was certain.</param>
/// <param name="ToStep">Of the checkpoint that was gone on from.</param>
/// <param name="Attempt">In which it rose. What it saved beyond <paramref name="ToStep"/> is not used.</param>
/// <param name="Level">Of before the rise.</param>
public sealed record LossAct(
    LossMove Move, long FlaggedAt, long JudgedAt, long ToStep, int Attempt, double Level, double Spread, DateTimeOffset At, string Reason)
{
    /// <summary>First and last batch that is left out, by number in the stage's data order. 0: none is.</summary>
    public long FirstBatch { get; init; }

    public long LastBatch { get; init; }

    /// <summary>The rate of these steps is multiplied by <see cref="RateFactor"/>. 0: of none.</summary>
    public long RateFrom { get; init; }

    public long RateUntil { get; init; }

    public double RateFactor { get; init; } = 1;

    public LossOutcome Outcome { get; init; }

    /// <summary>It is in force: a person who went back beyond it has taken it back.</summary>
    [JsonIgnore]
    public bool Stands => Outcome != LossOutcome.TakenBack;

    public bool Lowers(long step) => Stands && RateFrom > 0 && step >= RateFrom && step <= RateUntil;

    [JsonIgnore]
    public long Batches => FirstBatch == 0 ? 0 : LastBatch - FirstBatch + 1;

    /// <summary>The step at which it is seen whether the loss is down again.</summary>
    [JsonIgnore]
    public long VerifiedAt => Move switch
    {
        LossMove.Replay => JudgedAt,
        LossMove.RollBack => JudgedAt + SpikeRule.JudgedAfter,
        // What is gone on from has trained on the rise: it comes down as it learns.
        LossMove.Skip => JudgedAt + (2 * SpikeRule.JudgedAfter),
        LossMove.LowerRate => RateUntil + SpikeRule.JudgedAfter,
        _ => throw new System.Diagnostics.UnreachableException($"move {Move}"),
    };

    /// <summary>A checkpoint that was made in the rise.</summary>
    public bool Forbids(long step, int attempt) => attempt <= Attempt && step > ToStep;
}

/// <summary>What the rule knew at a checkpoint, so that it comes back with it.</summary>
/// <param name="Step">Of the checkpoint.</param>
public sealed record LossMemory(long Step, int Attempt, SpikeState State);
