using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using Proto = DeepSeekOps.Contracts.Worker.V1;
using Schedules = DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A stage of a pipeline as the message that its ranks train by.</summary>
public static class TrainingPlans
{
    /// <param name="checkpointRoot">Where checkpoints are kept, as the worker sees it.</param>
    /// <param name="beginFrom">Last checkpoint of the stage before, or a published one. Null: random initialisation.</param>
    /// <param name="studentFrom">Distillation: where the student begins. Null: random initialisation.</param>
    public static TrainingPlan ToProto(
        PipelineSpec pipeline, string stageName, string checkpointRoot = "", CheckpointRef? beginFrom = null,
        CheckpointRef? studentFrom = null)
    {
        var stage = pipeline.Stage(stageName);
        var resources = pipeline.ResourcesOf(stage);
        var checkpoints = pipeline.CheckpointsOf(stage);
        var plan = new TrainingPlan
        {
            Model = ToProto(pipeline.ShapeBefore(stage), pipeline.ExtensionBefore(stage)),
            Data = new DataConfig
            {
                Source = SourceOf(pipeline, stage), Tokenizer = pipeline.Data.Tokenizer, FimRate = pipeline.Data.FimRate,
                Heldout = pipeline.Data.Heldout,
            },
            Seed = pipeline.Seed,
            Optimizer = ToProto(pipeline.Optimizer),
            Checkpoints = new Proto.CheckpointPolicy
            {
                EverySteps = checkpoints.EverySteps, Keep = checkpoints.Keep,
                InMemoryEvery = checkpoints.InMemoryEvery is { } every ? every == 0 ? -1 : every : 0,
            },
            BeginFrom = beginFrom,
            CheckpointRoot = checkpointRoot,
            Precision = pipeline.Precision switch
            {
                Decisions.Recipes.Precision.Fp32 => Proto.Precision.Fp32,
                Decisions.Recipes.Precision.Bf16 => Proto.Precision.Bf16,
                Decisions.Recipes.Precision.Fp8 => Proto.Precision.Fp8,
                _ => throw new UnreachableException($"precision {pipeline.Precision}"),
            },
            Device = resources.Device,
            Threads = resources.Threads,
            Layout = ToProto(pipeline.ParallelismOf(stage), resources.Ranks),
        };
        plan.Layout.Context.Add(stage.Recipe.ContextRanks());
        SetWork(plan, pipeline, stage, studentFrom);
        return plan;
    }

    private static string SourceOf(PipelineSpec pipeline, StageSpec stage) =>
        stage.Recipe.Match(pretraining => pretraining.Data, extension => extension.Data, _ => "", _ => "", _ => "") is { Length: > 0 } own
            ? own : pipeline.Data.Source;

    private static void SetWork(TrainingPlan plan, PipelineSpec pipeline, StageSpec stage, CheckpointRef? studentFrom) =>
        stage.Recipe.Match<Action>(
        pretraining => () => plan.Pretraining = ToProto(pretraining),
        extension => () => plan.ContextExtension = ToProto(extension),
        tuning => () => plan.Sft = ToProto(tuning),
        reinforcement => () => plan.Rl = ToProto(reinforcement),
        distillation => () => plan.Distillation = ToProto(distillation, pipeline, stage, studentFrom))();

    private static ModelConfig ToProto(ModelShape shape, Decisions.Recipes.ContextPhase? extension) => new()
    {
        VocabSize = shape.VocabSize, HiddenSize = shape.HiddenSize, Layers = shape.Layers, DenseLayers = shape.DenseLayers,
        IntermediateSize = shape.IntermediateSize, MoeIntermediateSize = shape.MoeIntermediateSize, Heads = shape.Heads,
        QLoraRank = shape.QLoraRank, KvLoraRank = shape.KvLoraRank, QkNopeHeadDim = shape.QkNopeHeadDim,
        QkRopeHeadDim = shape.QkRopeHeadDim,
        VHeadDim = shape.VHeadDim, RoutedExperts = shape.RoutedExperts, SharedExperts = shape.SharedExperts,
        ActiveExperts = shape.ActiveExperts,
        Groups = shape.Groups, LimitedGroups = shape.LimitedGroups, TopkMethod = TopkWord(shape.TopkMethod),
        NormTopkProb = shape.NormTopkProb,
        RoutedScalingFactor = shape.RoutedScalingFactor, MtpDepth = shape.MtpDepth, RopeTheta = shape.RopeTheta,
        RmsNormEps = shape.RmsNormEps,
        InitStd = shape.InitStd, RopeByHalves = !shape.RopeInterleave, AttentionBias = shape.AttentionBias,
        TiedEmbeddings = shape.TiedEmbeddings,
        MaxPositionEmbeddings = extension?.SequenceLength ?? shape.MaxPositionEmbeddings,
        Yarn = (extension is null ? shape.Yarn : extension.Yarn) is { } yarn ? ToProto(yarn) : null,
    };

    private static Proto.ParallelLayout ToProto(Decisions.Recipes.ParallelLayout layout, int ranks) => new()
    {
        Pipeline = layout.Pipeline, Tensor = layout.Tensor, Data = ranks / (layout.Pipeline * layout.Tensor), Expert = layout.Expert,
        Zero = layout.Zero, MicroBatch = layout.MicroBatch,
        // One rank alone has nobody to wait for.
        Schedule = layout.Pipeline > 1 ? layout.Schedule.Name() : "",
    };

    private static string TopkWord(TopkMethod method) => method switch
    {
        TopkMethod.NoauxTc => "noaux_tc",
        TopkMethod.GroupLimitedGreedy => "group_limited_greedy",
        TopkMethod.Greedy => "greedy",
        _ => throw new UnreachableException($"method {method}"),
    };

    private static Proto.Yarn ToProto(Decisions.Recipes.Yarn yarn) => new()
    {
        Factor = yarn.Factor, OriginalLength = yarn.OriginalLength, BetaFast = yarn.BetaFast, BetaSlow = yarn.BetaSlow,
        Mscale = yarn.Mscale, MscaleAllDim = yarn.MscaleAllDim,
    };

    private static Optimizer ToProto(AdamW optimizer) => new()
    {
        Beta1 = optimizer.Beta1, Beta2 = optimizer.Beta2, Epsilon = optimizer.Epsilon, WeightDecay = optimizer.WeightDecay,
        GradClip = optimizer.GradClip, Bf16Moments = optimizer.Bf16Moments,
    };

    private static Pretraining ToProto(StageRecipe.Pretraining p) => new()
    {
        Tokens = p.Tokens, SequenceLength = p.SequenceLength,
        BatchSize = new BatchSize
        {
            From = p.BatchSize.From,
            To = p.BatchSize.To,
            OverTokens = p.BatchSize.OverTokens,
            Micro = p.BatchSize.Micro,
            MultipleOf = p.BatchSize.MultipleOf,
        },
        LearningRate = ToProto(p.LearningRate), Gamma = ToProto(p.Gamma), Alpha = p.Alpha, Lambda = ToProto(p.Lambda),
        EmaDecay = p.EmaDecay,
    };

    private static Proto.Milestone ToProto(Schedules.Milestone milestone) =>
        new() { Before = milestone.Before, After = milestone.After, AtTokens = milestone.AtTokens };

    private static Proto.LearningRate ToProto(Schedules.LearningRate rate) => new()
    {
        Pieces =
        {
            rate.Pieces.Select(piece =>
            {
                var proto = new Proto.LearningRatePiece { Shape = ShapeWord(piece.Shape), To = piece.To };
                if (piece.UntilTokens is { } tokens)
                {
                    proto.UntilTokens = tokens;
                }
                if (piece.UntilStep is { } step)
                {
                    proto.UntilStep = step;
                }
                return proto;
            }),
        },
    };

    private static string ShapeWord(Schedules.CurveShape shape) => shape switch
    {
        Schedules.CurveShape.Linear => "linear",
        Schedules.CurveShape.Constant => "constant",
        Schedules.CurveShape.Cosine => "cosine",
        _ => throw new UnreachableException($"shape {shape}"),
    };

    private static ContextExtension ToProto(StageRecipe.ContextExtension c) =>
        new() { Gamma = c.Gamma, Alpha = c.Alpha, Lambda = c.Lambda, Phases = { c.Phases.Select(ToProto) } };

    private static SupervisedFineTuning ToProto(StageRecipe.SupervisedFineTuning s) => new()
    {
        Instances = s.Instances, Epochs = s.Epochs, SequenceLength = s.SequenceLength, BatchSize = s.BatchSize,
        LearningRate = ToProto(s.LearningRate), Data = s.Data, Lambda = s.Lambda,
    };

    private static Proto.ContextPhase ToProto(Decisions.Recipes.ContextPhase phase) => new()
    {
        Name = phase.Name, SequenceLength = phase.SequenceLength, Steps = phase.Steps, BatchSize = phase.BatchSize,
        LearningRate = ToProto(phase.LearningRate), Yarn = phase.Yarn is { } yarn ? ToProto(yarn) : null,
        ContextParallel = phase.ContextParallel,
    };

    private static ReinforcementLearning ToProto(StageRecipe.ReinforcementLearning r) => new()
    {
        Steps = r.Steps, Questions = r.Questions, GroupSize = r.GroupSize, MaxNewTokens = r.MaxNewTokens, Temperature = r.Temperature,
        ClipEpsilon = r.ClipEpsilon, KlBeta = r.KlBeta, LearningRate = ToProto(r.LearningRate), ReferenceEvery = r.ReferenceEvery,
        Verifier = r.Verifier, MiniBatch = r.MiniBatch,
    };

    private static Distillation ToProto(StageRecipe.Distillation d, PipelineSpec pipeline, StageSpec stage, CheckpointRef? studentFrom) =>
        new()
        {
            Student = d.Student is { } student ? ToProto(student, pipeline.ExtensionAfter(stage)) : null,
            Samples = d.Samples, Epochs = d.Epochs, SequenceLength = d.SequenceLength, BatchSize = d.BatchSize,
            LearningRate = ToProto(d.LearningRate), LogitWeight = d.LogitWeight, Temperature = d.Temperature, Verifier = d.Verifier,
            StudentFrom = studentFrom, MeasureUndistilled = d.MeasureUndistilled, Lambda = d.Lambda,
        };
}
