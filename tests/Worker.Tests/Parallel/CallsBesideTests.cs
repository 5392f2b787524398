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
/// Gradients that are summed up beside the backward pass, and weights that are given under the next one, become what they would become
/// between the two: whether the other queue is done at once, or only when it is waited for.
/// Groups of two: of more, the grouping of tensors decides in which order a ring adds.
/// </summary>
[Collection(RandomNumbers.OneStream)]
public sealed class CallsBesideTests : IDisposable
{
    private const int Layers = 4;

    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    public static TheoryData<int, int, int, PipelineSchedule, bool> Layouts => new()
    {
        { 2, 1, 1, PipelineSchedule.OneForwardOneBackward, false },
        { 2, 1, 2, PipelineSchedule.OneForwardOneBackward, true },
        { 4, 2, 1, PipelineSchedule.ZeroBubble, true },
        { 4, 2, 2, PipelineSchedule.DualPipe, false },
        { 4, 2, 2, PipelineSchedule.DualPipeV, true },
    };

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Nothing_is_other_for_being_done_beside(int ranks, int pipeline, int expert, PipelineSchedule schedule, bool dealsMoments)
    {
        var layout = new GangLayout(ranks, pipeline, 1, expert) { Schedule = schedule, DealsMoments = dealsMoments };
        var plan = Plan();
        var after = SocketRanks.Run(layout, (rank, mesh) => Learn(plan, mesh, rank, layout));
        var atOnce = SocketRanks.Run(layout, (rank, mesh) => Learn(plan, Beside(mesh, late: false), rank, layout));
        var late = SocketRanks.Run(layout, (rank, mesh) => Learn(plan, Beside(mesh, late: true), rank, layout));
        Assert.Equal(after, atOnce);
        Assert.Equal(after, late);
    }

    /// <summary>Each layer's own call, before the update: that it is early is the point.</summary>
    [Fact]
    public void Each_layer_is_summed_up_while_the_pass_still_runs()
    {
        var layout = new GangLayout(2, 1, 1, 1);
        var told = SocketRanks.Run(layout, (rank, mesh) =>
        {
            var (calls, joined) = (0, new List<int>());
            var beside = new CallsBeside(mesh.Data, mesh.Replicas, call =>
            {
                calls++;
                call();
                return () => joined.Add(calls);
            });
            Learn(Plan(), mesh with { Beside = beside }, rank, layout, steps: 1);
            return joined;
        });
        Assert.All(told, joined => Assert.Equal(Enumerable.Repeat(Layers, Layers), joined));
    }

    /// <summary>A gradient that a drill spoils is NaN for all who hold the weight, and so no rank changes anything.</summary>
    [Fact]
    public void A_spoilt_gradient_is_spoilt_on_all_ranks()
    {
        var layout = new GangLayout(2, 1, 1, 1);
        var norms = SocketRanks.Run(layout, (rank, mesh) =>
        {
            using var scope = NewDisposeScope();
            using var link = new RecordingRankLink();
            using var work = MiniPlans.Context(Plan(), link, Beside(mesh, late: true), rank, layout).NewWork();
            work.Learner.Draw();
            if (rank == 1)
            {
                work.Learner.SpoilsGradient = true;
            }
            return work.Step(Position.Start).Norm.ToDouble();
        });
        Assert.All(norms, norm => Assert.Equal(double.NaN, norm));
    }

    /// <param name="late">Calls are made when somebody waits for them, those before them first: as late as another queue may be.</param>
    private static Mesh Beside(Mesh mesh, bool late)
    {
        var waiting = new Queue<Action>();
        var (begun, done) = (0, 0);
        return mesh with
        {
            Beside = new CallsBeside(mesh.Data, mesh.Replicas, call =>
            {
                var number = ++begun;
                waiting.Enqueue(call);
                for (; !late && waiting.TryDequeue(out var next); done++)
                {
                    next();
                }
                return () =>
                {
                    for (; done < number; done++)
                    {
                        waiting.Dequeue()();
                    }
                };
            }),
        };
    }

    private TrainingPlan Plan()
    {
        var plan = _mini.Plan("pretrain");
        // Modules that predict further use the embedding too: with an edge before the first layer three terms add up in another order.
        (plan.Model.Layers, plan.Model.MtpDepth) = (Layers, 0);
        plan.Pretraining.BatchSize = new BatchSize { From = 8, To = 8, Micro = 1 };
        (plan.Pretraining.Alpha, plan.Pretraining.SequenceLength) = (0.01, 24);
        return plan;
    }

    /// <summary>Losses, norms and weights, to the last bit.</summary>
    private static string Learn(TrainingPlan plan, Mesh mesh, int rank, GangLayout layout, int steps = 3)
    {
        using var scope = NewDisposeScope();
        using var link = new RecordingRankLink();
        using var work = MiniPlans.Context(plan, link, mesh, rank, layout).NewWork();
        work.Learner.Draw();
        var (position, told) = (Position.Start, new List<string>());
        for (var step = 0; step < steps; step++)
        {
            using var ofStep = NewDisposeScope();
            var result = work.Step(position);
            told.Add($"{result.Loss.ToDouble():R} {result.Norm.ToDouble():R}");
            position = position with { Step = step + 1, Tokens = position.Tokens + result.Tokens };
        }
        return string.Join('\n', told.Concat(work.Learner.Model.PublishedTensors()
            .Select(t => (t.Name, Value: t.Value.detach().to(float64)))
            .Select(t => $"{t.Name} {t.Value.sum().ToDouble():R} {t.Value.norm().ToDouble():R}")));
    }
}
