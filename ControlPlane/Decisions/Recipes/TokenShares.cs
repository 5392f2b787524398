namespace DeepSeekOps.Decisions.Recipes;

/// <summary>
/// Milestones that were written as shares of a stage, as tokens. The share is kept beside them, so that a copy of the pipeline with
/// other tokens moves them; whatever trains, plans or simulates reads tokens alone.
/// </summary>
public static class TokenShares
{
    /// <summary>The nearest token.</summary>
    public static long Tokens(long stage, decimal percent) => (long)decimal.Round(stage * (percent / 100));

    /// <summary>Only pretraining has milestones in tokens.</summary>
    public static StageRecipe Resolve(StageRecipe recipe) => recipe is not StageRecipe.Pretraining p ? recipe : p with
    {
        BatchSize = p.BatchSize.OverPercent is { } over ? p.BatchSize with { OverTokens = Tokens(p.Tokens, over) } : p.BatchSize,
        LearningRate = new([.. p.LearningRate.Pieces.Select(piece =>
            piece.UntilPercent is { } until ? piece with { UntilTokens = Tokens(p.Tokens, until) } : piece)]),
        Gamma = Resolve(p.Gamma, p.Tokens),
        Lambda = Resolve(p.Lambda, p.Tokens),
    };

    private static Milestone Resolve(Milestone milestone, long tokens) =>
        milestone.AtPercent is { } at ? milestone with { AtTokens = Tokens(tokens, at) } : milestone;
}
