using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Recipes;

public enum LossSpikeMode
{
    /// <summary>Nothing is done; it is told what would be.</summary>
    Advise = 0,
    Act = 1,
}

/// <summary>What is done about a loss that rose and stayed up.</summary>
public enum LossSpikePolicy
{
    /// <summary>Nothing; it is told.</summary>
    Alert = 0,
    /// <summary>Back to the checkpoint before it, without the batches that it rose on.</summary>
    RollBack = 1,
    /// <summary>The run is held until a person decides.</summary>
    Pause = 2,
    /// <summary>On from the newest checkpoint, also one within the rise, without the batches that come next.</summary>
    Skip = 3,
    /// <summary>Back to the checkpoint before it, and on at a lower rate for a number of steps.</summary>
    LowerRate = 4,
}

/// <summary>
/// What is done by itself about a loss that rose and stayed up. Numbers that are not finite are always acted on, and not by this.
/// </summary>
public sealed record LossSpikes
{
    /// <summary>
    /// Default: advise. The rule acted wrongly once in 45 public runs; whether that is seldom enough is for a person to say.
    /// </summary>
    public LossSpikeMode Mode { get; init; }

    /// <summary>Default: roll back and skip, the one remedy with a published record (PaLM, arXiv 2204.02311 section 5.1).</summary>
    public LossSpikePolicy Policy { get; init; } = LossSpikePolicy.RollBack;

    /// <summary>
    /// Batches that are left out from the rise on; more where it took longer to judge. Default: 50. Ours: twice the 25 from a rise's
    /// beginning to its judgement, since bad data seldom ends there; PaLM passed over 200 to 500.
    /// </summary>
    public int SkipBatches { get; init; } = 50;

    /// <summary>The learning rate is multiplied by it. Default: 0.5. Ours: the smallest change that nobody takes for noise.</summary>
    public double RateFactor { get; init; } = 0.5;

    /// <summary>…for so many steps, then back. Default: 200. Ours: ten times what a rise is judged over.</summary>
    public int RateSteps { get; init; } = 200;

    /// <summary>
    /// Acts within <see cref="WithinSteps"/>; instead of one more the run is held for a person. Default: 4. Ours: two rises, each with its
    /// trial and its remedy; PaLM saw about 20 in a whole training.
    /// </summary>
    public int MaxActs { get; init; } = 4;

    /// <summary>Default: 1,000 steps. Ours: twice what a number that is not finite is remembered for.</summary>
    public int WithinSteps { get; init; } = 1000;

    /// <summary>As pipelines and `dsops spikes` write them.</summary>
    public static ImmutableArray<(string Word, LossSpikePolicy Policy)> Policies { get; } =
    [
        ("alert", LossSpikePolicy.Alert), ("skip", LossSpikePolicy.Skip), ("rollback", LossSpikePolicy.RollBack),
        ("lowerRate", LossSpikePolicy.LowerRate), ("pause", LossSpikePolicy.Pause),
    ];

    /// <summary>
    /// The loss of this kind of stage says how well the model does. That of reinforcement learning does not: it is about zero whatever the
    /// policy is worth.
    /// </summary>
    public static bool Minds(string kind) => kind != new StageRecipe.ReinforcementLearning().Kind;

    public static string NameOf(LossSpikePolicy policy) => Policies.First(p => p.Policy == policy).Word;
}
