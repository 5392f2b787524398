using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Training;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>Ranks that share the rows of each batch: what they learn together is what one learns alone.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class SharedRowsTests : IDisposable
{
    private const int Steps = 3;
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Theory]
    [InlineData("pretrain")]
    [InlineData("extend")]
    [InlineData("sft")]
    public void Two_ranks_that_share_the_rows_learn_what_one_learns_alone(string stage)
    {
        var plan = _mini.Plan(stage);
        if (stage == "extend")
        {
            plan.ContextExtension.Phases[0].Yarn = null;
        }
        var alone = Learn(plan, Mesh.Alone(), rank: 0, ranks: 1);
        using var two = new ThreadRanks(2);
        var together = two.Run((rank, mesh) => Learn(plan, mesh, rank, ranks: 2));

        // Each holds what the other holds, to the last bit.
        Assert.Equal(together[0].Losses, together[1].Losses);
        Assert.Equal(together[0].Weights, together[1].Weights);
        for (var step = 0; step < Steps; step++)
        {
            Assert.Equal(alone.Losses[step], together[0].Losses[step], 1e-4);
            Assert.Equal(alone.Norms[step], together[0].Norms[step], 1e-3);
            Assert.Equal(alone.Tokens[step], together[0].Tokens[step]);
        }
        Assert.Equal(alone.Biases, together[0].Biases);
        Assert.Equal(alone.Cursor, together[1].Cursor);
    }

    private static Learned Learn(TrainingPlan plan, Mesh mesh, int rank, int ranks)
    {
        using var scope = NewDisposeScope();
        using var link = new RecordingRankLink();
        using var work = MiniPlans.Context(plan, link, mesh, rank, ranks).NewWork();
        work.Learner.Draw();
        var (position, results) = (Position.Start, new List<StepResult>());
        for (var step = 0; step < Steps; step++)
        {
            results.Add(work.Step(position));
            position = position with { Step = step + 1, Tokens = position.Tokens + results[^1].Tokens };
        }
        var model = work.Learner.Model;
        return new Learned(
            [.. results.Select(r => r.Loss.ToDouble())], [.. results.Select(r => r.Norm.ToDouble())], [.. results.Select(r => r.Tokens)],
            [.. model.Parameters.SelectMany(p => p.Value.detach().flatten().data<float>().ToArray())],
            [.. model.CorrectionBiases.SelectMany(b => b.data<float>().ToArray())], work.DataCursor.InWords);
    }

    private sealed record Learned(double[] Losses, double[] Norms, long[] Tokens, float[] Weights, float[] Biases, string Cursor);
}
