using System.Collections.Immutable;

namespace DeepSeekOps.Dashboard.Words;

/// <summary>Which series of a stage say how it goes, by its kind: what a person sees who has chosen nothing.</summary>
public static class StageSeries
{
    private static readonly ImmutableArray<string> Training = ["loss", "mfu", "tokens_per_second", "grad_norm", "learning_rate"];

    public static ImmutableArray<string> Usual(string kind) => kind switch
    {
        // The loss of a policy gradient hovers about 0 and says nothing; what is learned is the reward, at the price of the distance.
        "rl" => ["reward", "kl", "format_rate", "accuracy", "output_tokens", "zero_advantage_groups", "grad_norm", "loss"],
        "distillation" => ["loss", "teacher_kl", "mtp_guesses_kept", "mfu", "tokens_per_second", "grad_norm", "learning_rate"],
        "sft" => ["loss", "mtp_guesses_kept", "mfu", "tokens_per_second", "grad_norm", "learning_rate"],
        _ => Training,
    };

    /// <param name="there">Those that the stage has; empty: not known yet. No chart is drawn for ever empty.</param>
    public static ImmutableArray<string> Shown(string kind, IReadOnlyCollection<string> there) =>
        there.Count == 0 ? Usual(kind) : [.. Usual(kind).Where(there.Contains)];
}
