using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Training.Stages;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Stages;

[Collection(RandomNumbers.OneStream)]
public sealed class DistillationTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Fact]
    public void Measuring_the_undistilled_student_leaves_no_trace_in_the_distilled_one()
    {
        var plan = _mini.Plan("distill", every: 1000);
        plan.BeginFrom = _mini.Tuned("a");
        plan.Data = new DataConfig { Source = _mini.Questions("a"), Tokenizer = "byte", Heldout = 2 };
        plan.Distillation.MeasureUndistilled = false;
        using var plain = MiniPlans.Train(_mini.Launch(plan, "distill", run: "plain"));
        plan.Distillation.MeasureUndistilled = true;
        using var measured = MiniPlans.Train(_mini.Launch(plan, "distill", run: "measured"));
        Assert.DoesNotContain(plain.Evaluations, e => e.Name == "student_accuracy_undistilled");
        var undistilled = Assert.Single(measured.Evaluations, e => e.Name == "student_accuracy_undistilled");
        Assert.Equal((24L, 2), (undistilled.Step, undistilled.Samples));
        Assert.Equal(plain.Samples.Select(s => s.Loss), measured.Samples.Select(s => s.Loss));
        Assert.Equal(Files(plain), Files(measured));
    }

    [Fact]
    public void The_undistilled_student_learns_the_datas_own_solutions()
    {
        using var link = new RecordingRankLink();
        var plan = _mini.Plan("distill");
        plan.Data = new DataConfig { Source = _mini.Questions("a"), Tokenizer = "byte", Heldout = 2 };
        (plan.Distillation.Samples, plan.Distillation.BatchSize) = (8, 8);
        plan.Distillation.LearningRate.Pieces[0].To = 1e-2;
        var context = MiniPlans.Context(plan, link);
        using var student = new UndistilledStudent(context, plan.Distillation);
        var model = student.Train(steps: 60, stepsDone: 60);
        Assert.NotNull(model);
        Assert.Equal(1, context.Evaluation.Accuracy(model, VerifierRule.Exact, maxNewTokens: 4, temperature: 0, step: 60).Right.Value);
    }

    private IEnumerable<string> Files(RecordingRankLink link) =>
        Manifest.Verify(Path.Combine(_mini.Root, link.Checkpoints[^1].Path), link.Checkpoints[^1].Digest).Files.Select(f => f.Name);
}
