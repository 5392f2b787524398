namespace DeepSeekOps.Recipes.Schedules;

/// <summary>A value that changes once, at a number of tokens.</summary>
public sealed record Milestone(double Before, double After, long AtTokens)
{
    public static Milestone Always(double value) => new(value, value, 0);

    /// <summary>The same as a share of the stage, where it was written so.</summary>
    public decimal? AtPercent { get; init; }

    public double At(long tokens) => tokens < AtTokens ? Before : After;
}
