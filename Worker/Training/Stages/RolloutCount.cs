namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>The row accounting of a stage: what was drawn, and how much of it had nothing to teach.</summary>
/// <param name="Failed">Rollouts that found no end within their tokens.</param>
/// <param name="ZeroAdvantage">Groups whose outputs were all equally good or bad.</param>
public sealed record RolloutCount(int Rollouts, int Failed, int Groups, int ZeroAdvantage)
{
    public static readonly RolloutCount None = new(0, 0, 0, 0);

    public RolloutCount Plus(RolloutCount other) =>
        new(Rollouts + other.Rollouts, Failed + other.Failed, Groups + other.Groups, ZeroAdvantage + other.ZeroAdvantage);
}
