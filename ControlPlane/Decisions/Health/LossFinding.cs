using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Health;

/// <summary>What was seen in the losses of a stage, worth a line on its timeline.</summary>
/// <param name="Step">Of the flag, also where it is told what became of it.</param>
/// <param name="Kind">"loss-flagged", "loss-judged", "loss-diverged", "loss-came-again", "loss-verified".</param>
public sealed record LossFinding(DateTimeOffset At, int Attempt, long Step, string Kind, EventLevel Level, string Text)
{
    /// <summary>It asks for something to be done. Null: it does not.</summary>
    public SpikeVerdict? Verdict { get; init; }

    /// <summary>What became of the act that was open. Null: nothing yet.</summary>
    public LossOutcome? Closes { get; init; }

    /// <summary>A checkpoint of before this step may be needed. Null: none may.</summary>
    public long? Begins { get; init; }
}
