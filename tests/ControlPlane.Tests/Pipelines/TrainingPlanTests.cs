using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class TrainingPlanTests
{
    private static readonly PipelineSpec Mini = PipelineText.Parse(Examples.OfTests).Spec!;

    [Fact]
    public void Pretraining_carries_its_schedules()
    {
        var plan = TrainingPlans.ToProto(Mini, "pretrain", "/checkpoints");
        var work = plan.Pretraining;
        Assert.Equal((614_400, 128, 4, 8, 20_480),
            (work.Tokens, work.SequenceLength, work.BatchSize.From, work.BatchSize.To, work.BatchSize.OverTokens));
        Assert.Equal(["linear", "constant", "cosine", "constant", "constant"], work.LearningRate.Pieces.Select(p => p.Shape));
        Assert.True(work.LearningRate.Pieces[0].HasUntilStep && !work.LearningRate.Pieces[0].HasUntilTokens);
        Assert.Equal(409_600, work.LearningRate.Pieces[1].UntilTokens);
        Assert.Equal((0.001, 0.0, 593_920), (work.Gamma.Before, work.Gamma.After, work.Gamma.AtTokens));
        Assert.Equal((0.3, 0.1, 1e-4, 0.999), (work.Lambda.Before, work.Lambda.After, work.Alpha, work.EmaDecay));
        Assert.Equal((1L, "cpu", 20, 3, "/checkpoints"),
            (plan.Seed, plan.Device, plan.Checkpoints.EverySteps, plan.Checkpoints.Keep, plan.CheckpointRoot));
        Assert.Equal((0.9, 0.95, 0.1, 1.0),
            (plan.Optimizer.Beta1, plan.Optimizer.Beta2, plan.Optimizer.WeightDecay, plan.Optimizer.GradClip));
        Assert.Equal(("builtin:arithmetic", "byte", 0.1, 200),
            (plan.Data.Source, plan.Data.Tokenizer, plan.Data.FimRate, plan.Data.Heldout));
        Assert.Null(plan.BeginFrom);
        Assert.Null(plan.Model.Yarn);
        Assert.Equal(Contracts.Worker.V1.Precision.Fp32, plan.Precision);
    }

    [Fact]
    public void The_layout_of_the_gang_goes_along_and_data_parallelism_is_what_remains()
    {
        var v3 = PipelineText.Parse(Examples.Read("deepseek-v3")).Spec!;
        var layout = TrainingPlans.ToProto(v3, "pretrain").Layout;
        Assert.Equal((16, 1, 64), (layout.Pipeline, layout.Tensor, layout.Expert));
        Assert.Equal(v3.ResourcesOf(v3.Stage("pretrain")).Ranks, layout.Pipeline * layout.Tensor * layout.Data);
        Assert.Equal(new Contracts.Worker.V1.ParallelLayout { Pipeline = 1, Tensor = 1, Data = 1, Expert = 1 },
            TrainingPlans.ToProto(Mini, "rl").Layout);
        // By how many ranks sequences are shared, in any phase.
        var extend = v3.Stages.First(s => s.Recipe is StageRecipe.ContextExtension);
        var plan = TrainingPlans.ToProto(v3, extend.Name);
        Assert.Equal([8, 32], plan.Layout.Context);
        Assert.Equal([8, 32], plan.ContextExtension.Phases.Select(p => p.ContextParallel));
        Assert.Empty(layout.Context);
    }

    [Fact]
    public void Every_stage_has_the_work_of_its_kind()
    {
        Assert.Equal(
            [TrainingPlan.WorkOneofCase.Pretraining, TrainingPlan.WorkOneofCase.ContextExtension, TrainingPlan.WorkOneofCase.Sft,
                TrainingPlan.WorkOneofCase.Rl, TrainingPlan.WorkOneofCase.Distillation],
            Mini.Stages.Select(s => TrainingPlans.ToProto(Mini, s.Name).WorkCase));
        var sft = (StageRecipe.SupervisedFineTuning)Mini.Stage("sft").Recipe;
        var work = TrainingPlans.ToProto(Mini, "sft").Sft;
        Assert.Equal((sft.Instances, sft.Epochs, sft.SequenceLength, sft.BatchSize),
            (work.Instances, work.Epochs, work.SequenceLength, work.BatchSize));
        Assert.False(work.LearningRate.Pieces[^1].HasUntilStep || work.LearningRate.Pieces[^1].HasUntilTokens);
        var rl = (StageRecipe.ReinforcementLearning)Mini.Stage("rl").Recipe;
        var rollout = TrainingPlans.ToProto(Mini, "rl").Rl;
        Assert.Equal((rl.Steps, rl.Questions, rl.GroupSize, rl.MaxNewTokens, rl.Verifier),
            (rollout.Steps, rollout.Questions, rollout.GroupSize, rollout.MaxNewTokens, rollout.Verifier));
        Assert.Equal((rl.ClipEpsilon, rl.KlBeta, rl.Temperature), (rollout.ClipEpsilon, rollout.KlBeta, rollout.Temperature));
    }

    [Fact]
    public void Positions_stay_stretched_after_the_extension_and_the_student_has_its_own()
    {
        var last = ((StageRecipe.ContextExtension)Mini.Stage("extend").Recipe).Phases[^1];
        Assert.Equal(ModelShape.Mini.MaxPositionEmbeddings, TrainingPlans.ToProto(Mini, "extend").Model.MaxPositionEmbeddings);
        Assert.Equal((last.SequenceLength, last.Yarn!.Factor),
            (TrainingPlans.ToProto(Mini, "rl").Model.MaxPositionEmbeddings, TrainingPlans.ToProto(Mini, "rl").Model.Yarn.Factor));
        var distillation = TrainingPlans.ToProto(Mini, "distill");
        Assert.NotNull(distillation.Model.Yarn);
        Assert.Null(distillation.Distillation.Student.Yarn);
        Assert.Equal(ModelShape.MiniStudent.Layers, distillation.Distillation.Student.Layers);
    }

    [Fact]
    public void A_stage_after_a_distillation_trains_the_student()
    {
        var spec = Mini with { Stages = Mini.Stages.Add(Mini.Stage("sft") with { Name = "polish" }) };
        Assert.Equal(ModelShape.MiniStudent.Layers, TrainingPlans.ToProto(spec, "polish").Model.Layers);
        Assert.Null(TrainingPlans.ToProto(spec, "polish").Model.Yarn);
    }

    [Fact]
    public void Checkpoints_to_begin_from_are_handed_on()
    {
        var from = new CheckpointRef { Path = "mini/rl/step-00000040", Step = 40, Run = "mini", Stage = "rl", Digest = "ab" };
        var plan = TrainingPlans.ToProto(Mini, "distill", "/c", from, from);
        Assert.Equal(from, plan.BeginFrom);
        Assert.Equal(from, plan.Distillation.StudentFrom);
    }

    [Fact]
    public void V3_is_handed_on_number_by_number()
    {
        var spec = PipelineText.Parse(Examples.Read("deepseek-v3")).Spec!;
        var model = TrainingPlans.ToProto(spec, "pretrain").Model;
        Assert.Equal((129280, 7168, 61, 3, 256, 8, "noaux_tc", 2.5),
            (model.VocabSize, model.HiddenSize, model.Layers, model.DenseLayers, model.RoutedExperts, model.ActiveExperts, model.TopkMethod,
            model.RoutedScalingFactor));
        var phases = TrainingPlans.ToProto(spec, "extend").ContextExtension.Phases;
        Assert.Equal([(32768, 1000L, 1920), (131072, 1000L, 480)], phases.Select(p => (p.SequenceLength, p.Steps, p.BatchSize)));
        Assert.Equal((40.0, 4096, 32.0, 1.0),
            (phases[1].Yarn.Factor, phases[1].Yarn.OriginalLength, phases[1].Yarn.BetaFast, phases[1].Yarn.BetaSlow));
        Assert.Equal(Contracts.Worker.V1.Precision.Fp8, TrainingPlans.ToProto(spec, "rl").Precision);
    }
}
