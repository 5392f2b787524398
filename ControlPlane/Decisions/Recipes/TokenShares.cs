using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>
/// Milestones that were written as shares of a stage, as tokens. The share is kept beside them, so that a copy of the pipeline with
/// other tokens moves them; whatever trains, plans or simulates reads tokens alone.
/// </summary>
public static class TokenShares
{
    /// <summary>The nearest token.</summary>
    public static long Tokens(long stage, decimal percent) => (long)decimal.Round(stage * (percent / 100));

    internal static Milestone Resolve(Milestone milestone, long tokens) =>
        milestone.AtPercent is { } at ? milestone with { AtTokens = Tokens(tokens, at) } : milestone;
}
