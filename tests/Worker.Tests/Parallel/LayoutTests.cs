using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Training;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>
/// A gang of any layout learns what one process learns, by the pretraining step as it is: next token, further tokens, balance loss, the
/// experts' bias and what is told of the experts' load.
/// </summary>
[Collection(RandomNumbers.OneStream)]
public sealed class LayoutTests : IDisposable
{
    private const int Layers = 4;
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    private const int Rows = 8;

    private static readonly Gen<GangLayout> Layouts =
        Gen.Select(Gen.Int[1, 4], Gen.Int[0, 2], Gen.Int[1, 2], Gen.Enum<PipelineSchedule>(), Gen.Int[1, 8])
        .Select((pipeline, expert, replicas, schedule, nodes) =>
            Runnable(new GangLayout(pipeline * (1 << expert) * replicas, pipeline, 1, 1 << expert) { Nodes = nodes }, schedule))
        .Where(layout => layout.Ranks is > 1 and <= 8 && layout.NodesProblem is null);

    /// <summary>
    /// What no random choice is to leave out: halves and whole pipelines both ways, experts shared within them, and between nodes.
    /// </summary>
    private static readonly GangLayout[] OfEachSchedule =
    [
        new(3, 3, 1, 1) { Schedule = PipelineSchedule.ZeroBubble },
        new(4, 2, 1, 2) { Schedule = PipelineSchedule.DualPipe },
        new(4, 4, 1, 1) { Schedule = PipelineSchedule.DualPipe },
        new(4, 2, 1, 2) { Schedule = PipelineSchedule.DualPipeV },
        new(4, 1, 1, 4) { Nodes = 2 },
        new(2, 1, 1, 2) { Schedule = PipelineSchedule.DualPipeV },
    ];

    private static GangLayout Runnable(GangLayout layout, PipelineSchedule schedule) =>
        PipelineSchedules.LayoutProblem(schedule, layout.Pipeline, Layers) is null
        && PipelineSchedules.CountProblem(schedule, layout.Pipeline, Rows / layout.Data) is null
            ? layout with { Schedule = schedule } : layout;

    /// <summary>
    /// Routing is a choice: where two experts are all but equal a last bit decides, and free runs part. 20 steps stay together.
    /// </summary>
    [Fact]
    public void Twenty_free_steps_of_any_layout_are_those_of_one_process()
    {
        var plan = Plan();
        var alone = Learn(plan, Mesh.Alone(), 0, new GangLayout(1, 1, 1, 1), steps: 20);
        Layouts.Sample(layout =>
        {
            var together = SocketRanks.Run(layout, (rank, mesh) => Learn(plan, mesh, rank, layout, steps: 20));
            Assert.All(together, t => Assert.Equal(together[0].Losses, t.Losses));
            for (var step = 0; step < alone.Losses.Length; step++)
            {
                Assert.Equal(alone.Losses[step], together[0].Losses[step], 1e-4);
                Assert.Equal(alone.Balance[step], together[0].Balance[step], 1e-4);
                Assert.Equal(alone.Further[step], together[0].Further[step], 1e-4);
                Assert.Equal(alone.Norms[step], together[^1].Norms[step], 1e-3);
                Assert.Equal(alone.BusiestExpert[step], together[0].BusiestExpert[step], 1e-4);
            }
        }, iter: 3, threads: 1);
    }

    /// <summary>
    /// Every weight of the model lies somewhere, and wherever it lies it is that of one process: two steps, so that moments count.
    /// </summary>
    [Fact]
    public void Weights_of_any_layout_are_those_of_one_process()
    {
        var plan = Plan();
        var alone = Learn(plan, Mesh.Alone(), 0, new GangLayout(1, 1, 1, 1), steps: 2);
        Layouts.Sample(layout => HasTheWeightsOf(alone, Together(plan, layout, steps: 2), layout), iter: 4, threads: 1);
        Assert.All(OfEachSchedule, layout => HasTheWeightsOf(alone, Together(plan, layout, steps: 2), layout));
    }

    private static void HasTheWeightsOf(Learned alone, Learned[] together, GangLayout layout)
    {
        Assert.Equal(alone.Weights.Keys.Order(), together.SelectMany(t => t.Weights.Keys).Distinct().Order());
        foreach (var (name, own) in together.SelectMany(t => t.Weights))
        {
            Assert.True(alone.Weights[name].Zip(own).All(p => Math.Abs(p.First - p.Second) < 1e-5), $"{name} in {layout}");
        }
        Assert.Equal(alone.BusiestExpert[^1], together[0].BusiestExpert[^1], 1e-4);
        Assert.Equal(alone.Norms[^1], together[^1].Norms[^1], 1e-3);
    }

    private static Learned[] Together(TrainingPlan plan, GangLayout layout, int steps) =>
        SocketRanks.Run(layout, (rank, mesh) => Learn(plan, mesh, rank, layout, steps));

    /// <summary>Ranks are told what would do, before any of them waits for another.</summary>
    [Fact]
    public void Too_few_micro_batches_for_the_schedule_are_refused_in_words()
    {
        var plan = Plan();
        plan.Pretraining.BatchSize.From = plan.Pretraining.BatchSize.To = 4;
        var layout = new GangLayout(4, 2, 1, 2) { Schedule = PipelineSchedule.DualPipeV };
        var failed = Assert.Throws<AggregateException>(() => Together(plan, layout, steps: 1));
        Assert.All(failed.InnerExceptions, e => Assert.Contains("at least 4 micro-batches", e.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void A_batch_that_ranks_with_shared_experts_cannot_deal_evenly_is_refused_in_words()
    {
        var plan = Plan();
        plan.Pretraining.BatchSize.From = plan.Pretraining.BatchSize.To = 6;
        var layout = new GangLayout(4, 1, 1, 2);
        var failed =
            Assert.Throws<AggregateException>(() => SocketRanks.Run(layout, (rank, mesh) => Learn(plan, mesh, rank, layout, steps: 1)));
        Assert.All(failed.InnerExceptions, e => Assert.Contains("set batchSize to a multiple of 4", e.Message, StringComparison.Ordinal));
    }

    private TrainingPlan Plan()
    {
        var plan = _mini.Plan("pretrain");
        plan.Model.Layers = Layers;
        plan.Pretraining.BatchSize = new BatchSize { From = Rows, To = Rows, Micro = 1 };
        (plan.Pretraining.Alpha, plan.Pretraining.SequenceLength) = (0.01, 24);
        return plan;
    }

    private static Learned Learn(TrainingPlan plan, Mesh mesh, int rank, GangLayout layout, int steps)
    {
        using var scope = NewDisposeScope();
        using var link = new RecordingRankLink();
        using var work = MiniPlans.Context(plan, link, mesh, rank, layout).NewWork();
        work.Learner.Draw();
        var (position, results) = (Position.Start, new List<(StepResult Result, double Loss, double Norm)>());
        for (var step = 0; step < steps; step++)
        {
            using var ofStep = NewDisposeScope();
            var result = work.Step(position);
            results.Add((result, result.Loss.ToDouble(), result.Norm.ToDouble()));
            position = position with { Step = step + 1, Tokens = position.Tokens + result.Tokens };
        }
        double[] Extra(string name) => [.. results.Select(r => r.Result.Extra[name])];
        return new Learned(
            [.. results.Select(r => r.Loss)], [.. results.Select(r => r.Norm)], Extra("balance_loss"), Extra("mtp_loss"),
            Extra("expert_load_max"),
            work.Learner.Model.PublishedTensors()
                .ToDictionary(t => t.Name, t => t.Value.detach().contiguous().flatten().data<float>().ToArray()));
    }

    private sealed record Learned(
        double[] Losses, double[] Norms, double[] Balance, double[] Further, double[] BusiestExpert, Dictionary<string, float[]> Weights);
}
