using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Schedules;
using DeepSeekOps.Worker.Training.Learning;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training;

/// <summary>The control plane plans a stage from its record, the rank trains it from the wire: both have to count the same.</summary>
public sealed class CountingTests
{
    private static readonly string Folder = FindExamples();

    /// <summary>Pipelines alone; fine-tune begins with weights that only its reader has.</summary>
    public static TheoryData<string> Examples => [.. Directory.EnumerateFiles(Folder, "*.yaml").Select(Path.GetFileNameWithoutExtension)
        .Where(name => name is not ("cluster" or "fine-tune")).OfType<string>().Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Examples))]
    public void Worker_and_control_plane_count_the_same_steps_tokens_batches_and_rates(string example)
    {
        var spec = PipelineText.Parse(File.ReadAllText(Path.Combine(Folder, $"{example}.yaml"))).Spec;
        Assert.NotNull(spec);
        foreach (var stage in spec.Stages)
        {
            var plan = TrainingPlans.ToProto(spec, stage.Name);
            var length = LengthOf(plan);
            Assert.Equal(stage.Recipe.Length(), length);
            foreach (long step in Enumerable.Range(0, 101).Select(part => (length.Steps - 1) * part / 100).Distinct())
            {
                long tokens = stage.Recipe.TokensAt(step);
                Assert.Equal(stage.Recipe.LearningRateAt(step, tokens), RateOf(plan, length, step, tokens));
                long batch = stage.Recipe.TokensAfter(step + 1, tokens) - tokens;
                Assert.Equal(batch, BatchTokens(plan, step, tokens) ?? batch);
            }
        }
    }

    private static StageLength LengthOf(TrainingPlan plan) => plan.WorkCase switch
    {
        TrainingPlan.WorkOneofCase.Pretraining => plan.Pretraining.Length(),
        TrainingPlan.WorkOneofCase.ContextExtension => plan.ContextExtension.Length(),
        TrainingPlan.WorkOneofCase.Sft => plan.Sft.Length(),
        TrainingPlan.WorkOneofCase.Rl => plan.Rl.Length(),
        TrainingPlan.WorkOneofCase.Distillation => plan.Distillation.Length(),
        _ => throw new InvalidOperationException($"Say here how {plan.WorkCase} is counted."),
    };

    private static double RateOf(TrainingPlan plan, StageLength length, long step, long tokens)
    {
        switch (plan.WorkCase)
        {
            case TrainingPlan.WorkOneofCase.Pretraining:
                return plan.Pretraining.LearningRate.ToRecord().At(step, tokens, length.Steps, plan.Pretraining.Tokens);
            case TrainingPlan.WorkOneofCase.ContextExtension:
                var (phase, within) = StageLength.PhaseAt([.. plan.ContextExtension.Phases.Select(p => p.Steps)], step);
                var of = plan.ContextExtension.Phases[phase];
                return of.LearningRate.ToRecord().At(within, within * of.BatchSize * of.SequenceLength, of.Steps);
            case TrainingPlan.WorkOneofCase.Sft:
                return plan.Sft.LearningRate.ToRecord().At(step, tokens, length.Steps);
            case TrainingPlan.WorkOneofCase.Rl:
                return plan.Rl.LearningRate.ToRecord().At(step, tokens, length.Steps);
            case TrainingPlan.WorkOneofCase.Distillation:
                return plan.Distillation.LearningRate.ToRecord().At(step, tokens, length.Steps);
            default:
                throw new InvalidOperationException($"Say here at what rate {plan.WorkCase} learns.");
        }
    }

    /// <summary>Null: a stage of instances has as many tokens as its instances turn out to have.</summary>
    private static long? BatchTokens(TrainingPlan plan, long step, long tokens)
    {
        if (plan.WorkCase is TrainingPlan.WorkOneofCase.Pretraining)
        {
            return (long)plan.Pretraining.BatchSize.ToRecord().At(tokens) * plan.Pretraining.SequenceLength;
        }

        if (plan.WorkCase is not TrainingPlan.WorkOneofCase.ContextExtension)
        {
            return null;
        }

        var phase = plan.ContextExtension.Phases[StageLength.PhaseAt([.. plan.ContextExtension.Phases.Select(p => p.Steps)], step).Phase];
        return (long)phase.BatchSize * phase.SequenceLength;
    }

    private static string FindExamples()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "DeepSeekOps.sln")))
        {
            folder = Path.GetDirectoryName(folder)
                ?? throw new DirectoryNotFoundException("DeepSeekOps.sln is in no folder above the tests.");
        }

        return Path.Combine(folder, "deploy", "examples");
    }
}
