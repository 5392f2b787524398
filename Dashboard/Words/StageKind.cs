using System.Collections.Immutable;

namespace DeepSeekOps.Dashboard.Words;

/// <summary>What a page has to know of a kind of stage. A test compares the table with the kinds that the wire has.</summary>
/// <param name="Usual">Series that say how it goes: what a person sees who has chosen nothing.</param>
/// <param name="BalancesExperts">It tells the load of each expert.</param>
/// <param name="Answers">Its checkpoints have learnt to answer, so that they are tried by a conversation.</param>
public sealed record StageKind(string Word, ImmutableArray<string> Usual, bool BalancesExperts, bool Answers)
{
    private static readonly ImmutableArray<string> Training = ["loss", "mfu", "tokens_per_second", "grad_norm", "learning_rate"];

    public static ImmutableSortedDictionary<string, StageKind> All { get; } = new Dictionary<string, StageKind>
    {
        ["pretraining"] = new("Pretraining", Training, BalancesExperts: true, Answers: false),
        ["context-extension"] = new("Context extension", Training, BalancesExperts: true, Answers: false),
        ["sft"] = new("Supervised fine-tuning", Training.Insert(1, "mtp_guesses_kept"), BalancesExperts: false, Answers: true),
        // The loss of a policy gradient hovers about 0 and says nothing; what is learned is the reward, at the price of the distance.
        ["rl"] = new("Reinforcement learning",
            ["reward", "kl", "format_rate", "accuracy", "output_tokens", "zero_advantage_groups", "grad_norm", "loss"],
            BalancesExperts: false, Answers: true),
        ["distillation"] = new("Distillation", Training.Insert(1, "mtp_guesses_kept").Insert(1, "teacher_kl"),
            BalancesExperts: false, Answers: true),
    }.ToImmutableSortedDictionary(StringComparer.Ordinal);

    /// <summary>A page that stayed open may be told of a kind that only a newer control plane knows; it goes by its own word.</summary>
    public static StageKind Of(string kind) =>
        All.TryGetValue(kind, out var known) ? known : new(kind, Training, BalancesExperts: false, Answers: false);
}
