namespace DeepSeekOps.Decisions.Health;

/// <summary>The loss of a step, and when it was made: an agent that launches its rank again has a step twice in one attempt.</summary>
public readonly record struct StepTold(int Attempt, long Step, double Loss, DateTimeOffset At);

/// <summary>How long a step took, and where in its stage it stands.</summary>
public readonly record struct StepTime(long Step, long Tokens, double Seconds)
{
    /// <summary>Which launch made it: another layout has another pace.</summary>
    public int Attempt { get; init; }
}
