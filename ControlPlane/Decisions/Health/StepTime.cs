namespace DeepSeekOps.Decisions.Health;

/// <summary>How long a step took, and where in its stage it stands.</summary>
public readonly record struct StepTime(long Step, long Tokens, double Seconds)
{
    /// <summary>Which launch made it: another layout has another pace.</summary>
    public int Attempt { get; init; }
}
