using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Schedules;
using DeepSeekOps.Recipes.Weights;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>Notations that several tables use.</summary>
internal static class Spell
{
    /// <summary>Names of runs and stages are names of pods and folders too.</summary>
    public static TextNotation Name { get; } = new(
        "a name of a-z, 0-9 and '-', beginning and ending with a letter or digit, 63 characters at most",
        "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");

    /// <summary>How a stage says that it needs no group where its pipeline names one.</summary>
    public const string AnyGroup = "any";

    public static TextNotation Anything { get; } = new("a word or a path", "[^\\x00-\\x1f]{1,4096}");

    public static Notation<long> Tokens { get; } = new CountNotation(1, 1_000_000_000_000_000);

    public static Notation<double> Weight { get; } = new RealNotation(0, 1000);

    public static Notation<double> Share { get; } = new RealNotation(0, 1);

    public static ChoiceNotation<string> Verifier { get; } = new(("arithmetic", "arithmetic"), ("exact", "exact"), ("boxed", "boxed"));

    public static Notation<double> Rate { get; } = new RealNotation(0, 10);

    public static Notation<int> Int(int min, int max) => new ProjectedNotation<long, int>(new CountNotation(min, max), v => (int)v, v => v);

    public static Notation<int> SequenceLength { get; } = Int(2, 16 * 1024 * 1024);

    public static Notation<int> Batch { get; } = Int(1, 10_000_000);

    public static Notation<TimeSpan> Duration(TimeSpan min, TimeSpan max) => new DurationNotation(min, max);

    public static Notation<BatchRamp> BatchRamp { get; } = new ShortOrFull<BatchRamp>(
        new ProjectedNotation<int, BatchRamp>(Batch, DeepSeekOps.Recipes.Schedules.BatchRamp.Constant, r => r.To),
        ramp => ramp == DeepSeekOps.Recipes.Schedules.BatchRamp.Constant(ramp.To),
        new Mapping<BatchRamp>("a batch ramp", new BatchRamp())
            .With("from", Batch, r => r.From, (r, v) => r with { From = v }, "Sequences per step at the beginning.", required: true)
            .With("to", Batch, r => r.To, (r, v) => r with { To = v }, "Sequences per step at the end of the ramp.", required: true)
            .With("over", new TokenPointNotation(0), r => new TokenPoint(r.OverTokens, r.OverPercent),
                (r, v) => r with { OverTokens = v.Tokens, OverPercent = v.Percent },
                "Tokens over which it rises, linearly in tokens; 0: there at once.")
            .With("multipleOf", Int(0, 10_000_000), r => r.MultipleOf, (r, v) => r with { MultipleOf = v },
                "Sizes during the ramp are multiples of this many sequences; 0: any size.")
            .With("micro", Int(0, 10_000_000), r => r.Micro, (r, v) => r with { Micro = v },
                "As files before wrote it: 'multipleOf', and also parallelism's 'microBatch' where that is not given. Write those."),
        node => node is TextNode.Scalar);

    private static readonly Mapping<LearningRatePiece> Piece =
        new Mapping<LearningRatePiece>("a piece of the learning rate", new LearningRatePiece(CurveShape.Constant, 0, null, null))
            .With("shape",
                new ChoiceNotation<CurveShape>(("linear", CurveShape.Linear), ("constant", CurveShape.Constant),
                    ("cosine", CurveShape.Cosine)),
                p => p.Shape, (p, v) => p with { Shape = v }, "How it goes from the last piece's end to this one's.", required: true)
            .With("to", Rate, p => p.To, (p, v) => p with { To = v }, "The rate at its end.", required: true)
            .Maybe("until", new TokenPointNotation(1), p => p.UntilTokens is { } tokens ? new TokenPoint(tokens, p.UntilPercent) : null,
                (p, v) => p with { UntilTokens = v.Tokens, UntilPercent = v.Percent }, "Tokens of the stage at which it ends.")
            .Maybe("untilStep", new CountNotation(1, 1_000_000_000), p => p.UntilStep, (p, v) => p with { UntilStep = v },
                "Step of the stage at which it ends.");

    public static Notation<LearningRate> LearningRate { get; } = new ShortOrFull<LearningRate>(
        new ProjectedNotation<double, LearningRate>(Rate, DeepSeekOps.Recipes.Schedules.LearningRate.Constant, r => r.Pieces[0].To),
        rate => rate.IsConstant,
        new ProjectedNotation<ImmutableArray<LearningRatePiece>, LearningRate>(
            new ListNotation<LearningRatePiece>(Piece, 1, 100, "pieces of the learning rate"), pieces => new LearningRate(pieces),
            r => r.Pieces),
        node => node is TextNode.Scalar);

    public static Notation<Milestone> Milestone { get; } = new ShortOrFull<Milestone>(
        new ProjectedNotation<double, Milestone>(Weight, DeepSeekOps.Recipes.Schedules.Milestone.Always, m => m.After),
        milestone => milestone == DeepSeekOps.Recipes.Schedules.Milestone.Always(milestone.After),
        new Mapping<Milestone>("a value with a milestone", new Milestone(0, 0, 0))
            .With("before", Weight, m => m.Before, (m, v) => m with { Before = v }, "The value at the beginning.", required: true)
            .With("after", Weight, m => m.After, (m, v) => m with { After = v }, "The value from the milestone on.", required: true)
            .With("at", new TokenPointNotation(0), m => new TokenPoint(m.AtTokens, m.AtPercent),
                (m, v) => m with { AtTokens = v.Tokens, AtPercent = v.Percent },
                "Tokens of the stage at which it changes.", required: true),
        node => node is TextNode.Scalar);

    public static Notation<Yarn> Yarn { get; } = new Mapping<Yarn>("YaRN", new Yarn())
        .With("factor", new RealNotation(1, ShapeLimits.YarnFactor), y => y.Factor, (y, v) => y with { Factor = v },
            "By how much positions are stretched.", required: true)
        .With("originalLength", SequenceLength, y => y.OriginalLength, (y, v) => y with { OriginalLength = v },
            "Longest sequence before it.", required: true)
        .With("betaFast", new RealNotation(0, ShapeLimits.YarnRotations), y => y.BetaFast, (y, v) => y with { BetaFast = v },
            "Rotations above which a dimension stays as it is.")
        .With("betaSlow", new RealNotation(0, ShapeLimits.YarnRotations), y => y.BetaSlow, (y, v) => y with { BetaSlow = v },
            "Rotations below which a dimension is stretched in full.")
        .With("mscale", new RealNotation(0, ShapeLimits.YarnScale), y => y.Mscale, (y, v) => y with { Mscale = v },
            "Factor of the attention's temperature.")
        .With("mscaleAllDim", new RealNotation(0, ShapeLimits.YarnScale), y => y.MscaleAllDim, (y, v) => y with { MscaleAllDim = v },
            "The same for all dimensions.");

    private static Notation<string> Group { get; } = new ProjectedNotation<string, string>(Name, v => v == AnyGroup ? "" : v,
        v => v.Length == 0 ? AnyGroup : v);

    public static Mapping<ResourceSpec> Resources { get; } = new Mapping<ResourceSpec>("resources", new ResourceSpec(), inherits: true)
        .With("nodes", Int(1, 100_000), r => r.Nodes, (r, v) => r with { Nodes = v }, "Machines of the gang; all or none are granted.")
        .With("ranksPerNode", Int(1, 1024), r => r.RanksPerNode, (r, v) => r with { RanksPerNode = v },
            "Ranks on each machine: one per GPU.")
        .With("device", new ChoiceNotation<string>(("cpu", "cpu"), ("cuda", "cuda"), ("auto", "")), r => r.Device,
            (r, v) => r with { Device = v },
            "Where the matrices are multiplied; auto: cuda where there is one.")
        .With("threads", Int(0, 4096), r => r.Threads, (r, v) => r with { Threads = v },
            "Threads per rank on cpu; 0: the cores divided by the ranks.")
        .With("gpu", new ChoiceNotation<string>([("none", ""), .. Decisions.Throughput.Gpu.All.Keys.Select(k => (k, k))]), r => r.Gpu,
            (r, v) => r with { Gpu = v }, "Model of the GPU, for plans and utilisation.")
        .With("dollarsPerGpuHour", new RealNotation(0, 100_000), r => r.DollarsPerGpuHour, (r, v) => r with { DollarsPerGpuHour = v },
            "Price of one rank for an hour.")
        .With("group", Group, r => r.Group, (r, v) => r with { Group = v },
            "Only nodes of this group, as the cluster's settings name it; any: all of them.");

    public static Mapping<ParallelLayout> Parallelism { get; } =
        new Mapping<ParallelLayout>("a parallel layout", new ParallelLayout(), inherits: true)
        .With("pipeline", Int(1, 1024), p => p.Pipeline, (p, v) => p with { Pipeline = v }, "Ranks among which the layers are cut.")
        .With("tensor", Int(1, 1024), p => p.Tensor, (p, v) => p with { Tensor = v }, "Ranks among which each matrix is cut.")
        .With("expert", Int(1, 100_000), p => p.Expert, (p, v) => p with { Expert = v }, "Ranks among which a layer's experts are dealt.")
        .With("zero", Int(0, 3), p => p.Zero, (p, v) => p with { Zero = v }, "ZeRO stage of the data-parallel ranks.")
        .With("schedule", new ChoiceNotation<PipelineSchedule>([.. PipelineSchedules.Names]), p => p.Schedule,
            (p, v) => p with { Schedule = v },
            "Order of the pipeline's forward and backward passes.")
        .With("microBatch", Int(0, 1_000_000), p => p.MicroBatch, (p, v) => p with { MicroBatch = v },
            "Sequences of one forward pass of a data-parallel rank, in pretraining and context-extension; 0: as many as it has, of a "
                + "pipeline two micro-batches for each of its ranks.");

    public static Mapping<CheckpointPolicy> Checkpoints { get; } =
        new Mapping<CheckpointPolicy>("a checkpoint policy", new CheckpointPolicy(), inherits: true)
        .With("everySteps", Int(1, 100_000_000), c => c.EverySteps, (c, v) => c with { EverySteps = v }, "Steps from one save to the next.")
        .With("keep", Int(2, 100_000), c => c.Keep, (c, v) => c with { Keep = v },
            "Newest ones of a stage that stay, beside pinned ones and the final one; at least 2, so that a broken one has a predecessor.")
        .Maybe("inMemoryEvery", Int(0, 100_000_000), c => c.InMemoryEvery, (c, v) => c with { InMemoryEvery = v },
            "A gang's ranks keep their state in memory each so many steps, so that one that dies costs no more; 0: never. Usually each "
                + "step, less often where it would take more than a twentieth of the time.")
        .With("store", new StoreNotation(none: true), c => c.Store, (c, v) => c with { Store = v },
            "Where each is copied to once it is durable, the same for all stages; left out: as the cluster's settings say. The keys are in "
                + "the environment of the workers, never here.");
}
