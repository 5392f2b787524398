using System.Collections.Immutable;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>What a stage trains, and how. Closed: one file per kind, which answers whatever is asked of a kind.</summary>
/// <remarks>
/// What a plan, a check or a page has to know of a kind is a member here, without a default, so that a new kind does not compile until it
/// answers. Members are methods: a property would be saved and printed with the record. Other rooms, which lay out a kind's own fields,
/// ask by <see cref="Match"/>, which has an argument for each kind.
/// </remarks>
public abstract partial record StageRecipe
{
    /// <summary>Mean tokens of an instance or an output (report section 5.4: 1510 on MATH-500 after distillation).</summary>
    public const double TokensPerInstance = 1510;

    /// <summary>Tokens of a rank's micro-batch of packed rows: DeepEP's batch.</summary>
    private const int PackedChunk = 4096;

    private static readonly ConditionalWeakTable<StageRecipe, StrongBox<StageLength>> Lengths = [];

    private StageRecipe() { }

    /// <summary>One of each kind, by the word that a pipeline writes for it.</summary>
    public static ImmutableSortedDictionary<string, StageRecipe> Kinds { get; } = typeof(StageRecipe).GetNestedTypes(BindingFlags.Public)
        .Where(t => t.IsAssignableTo(typeof(StageRecipe))).Select(t => (StageRecipe)Activator.CreateInstance(t)!)
        .ToImmutableSortedDictionary(r => r.Kind, r => r, StringComparer.Ordinal);

    [JsonIgnore]
    public abstract string Kind { get; }

    /// <summary>Counted once: a ramp is walked for it, and whoever plays a run through asks at each step.</summary>
    public StageLength Length() => Lengths.GetValue(this, static recipe => new StrongBox<StageLength>(recipe.Count())).Value;

    private protected abstract StageLength Count();

    /// <summary>
    /// Tokens that a plan reckons with, the same in every plan: those of the stage where it is told in tokens, else instances by their mean
    /// length. What a stage of instances has trained in the end is counted as it trains and is another figure.
    /// </summary>
    public abstract double PlannedTokens();

    /// <summary>Whether the tokens of such a stage are known before it has trained them.</summary>
    public abstract bool IsToldInTokens { get; }

    /// <summary>Whether it can train weights that are random.</summary>
    public abstract bool BeginsAtRandom { get; }

    /// <summary>Whether its work can be cut into pipelines, whose ranks hold some of the layers each.</summary>
    public abstract bool CutsIntoPipelines { get; }

    /// <summary>
    /// Whether replicas hold the same: weights, moments, and nothing that is of one rank alone, as rollouts are. The worker has to say the
    /// same of it (Worker/Checkpoints/StageWorks.cs).
    /// </summary>
    public abstract bool ReplicasAreAlike { get; }

    /// <summary>Whether it keeps a moving average of the weights, which is saved beside them.</summary>
    public abstract bool KeepsAverage();

    /// <summary>The longest sequence that it trains.</summary>
    public abstract int LongestSequence();

    /// <summary>
    /// The sequence of a step, by which its operations are counted. Null: tokens are generated, scored and trained at different cost, so
    /// that there is no honest figure.
    /// </summary>
    /// <param name="step">Counts from 1.</param>
    public abstract int? SequenceOf(long step);

    /// <summary>Ranks that share one sequence in a step.</summary>
    /// <param name="step">Counts from 1.</param>
    public virtual int ContextOf(long step) => 1;

    /// <summary>By how many ranks it shares sequences anywhere: each number once, 1 left out.</summary>
    public virtual ImmutableArray<int> ContextRanks() => [];

    /// <summary>What its steps consist of, in order; never empty in a checked pipeline.</summary>
    /// <param name="ranks">Of the gang.</param>
    public abstract ImmutableArray<StageSegment> Segments(ParallelLayout layout, int ranks);

    /// <summary>What is sampled from a model while it trains.</summary>
    public abstract SampledOutputs Sampled();

    /// <summary>Tokens that have been trained when so many steps are done.</summary>
    public abstract long TokensAt(long step);

    /// <summary>The same for a step whose predecessor ended with so many tokens.</summary>
    public abstract long TokensAfter(long step, long before);

    /// <summary>The rate of the step that follows so many steps and tokens.</summary>
    public abstract double LearningRateAt(long step, long tokens);

    /// <summary>How far the time that a plan gives may be off, as a share. Judged, and said in the plan's own words.</summary>
    public abstract double StatedError { get; }

    /// <summary>Earlier stage whose final checkpoint it needs beside the one it begins with. Empty: none.</summary>
    public abstract string SecondOrigin();

    /// <summary>The shape of the weights that it hands on.</summary>
    public abstract ModelShape ShapeAfter(ModelShape before);

    /// <summary>The context extension whose positions are in force after it. Null: those of pretraining.</summary>
    public abstract ContextPhase? ExtensionAfter(PipelineSpec pipeline, StageSpec stage);

    /// <summary>The same with shares of the stage as tokens (<see cref="TokenShares"/>).</summary>
    public abstract StageRecipe WithoutShares();

    /// <summary>Asks each kind in its own words; a caller does not compile until it has an answer for a new one.</summary>
    public T Match<T>(
        Func<Pretraining, T> pretraining, Func<ContextExtension, T> contextExtension, Func<SupervisedFineTuning, T> fineTuning,
        Func<ReinforcementLearning, T> reinforcement, Func<Distillation, T> distillation) => this switch
        {
            Pretraining p => pretraining(p),
            ContextExtension c => contextExtension(c),
            SupervisedFineTuning s => fineTuning(s),
            ReinforcementLearning r => reinforcement(r),
            Distillation d => distillation(d),
            _ => throw new UnreachableException($"recipe {this}"),
        };

    private static double Mean(int longest) => Math.Min(longest, TokensPerInstance);

    /// <summary>Steps that are all alike.</summary>
    /// <remarks>Sample masking: a token attends within its own sample, however long the packed row is.</remarks>
    private ImmutableArray<StageSegment> Alike(int longest, int chunk)
    {
        long steps = Length().Steps;
        return [new StageSegment(steps, PlannedTokens(), PlannedTokens() / steps, (int)Mean(longest), chunk)];
    }

    /// <summary>Spread evenly, where only the whole is known.</summary>
    private long Evenly(long step) => Length() is var whole && whole.Steps > 0 ? (long)(whole.Tokens * (double)step / whole.Steps) : 0;
}
