using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Tests.Agent;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Training.Stages;

[Collection(RandomNumbers.OneStream)]
public sealed class MicroBatchTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    /// <param name="micro">As plans before said it, together with the multiple that batches are of.</param>
    /// <param name="said">By the layout, for forecast and training alike.</param>
    /// <param name="microBatches">0: there is but one.</param>
    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(0, 2, 2)]
    [InlineData(2, 0, 2)]
    [InlineData(2, 1, 4)]
    public void A_rank_takes_as_many_sequences_at_once_as_the_layout_says(int micro, int said, int microBatches)
    {
        using var scope = NewDisposeScope();
        using var link = new RecordingRankLink();
        var plan = _mini.Plan("pretrain");
        plan.Pretraining.BatchSize.Micro = micro;
        plan.Layout = new ParallelLayout { Pipeline = 1, Tensor = 1, Data = 1, Expert = 1, MicroBatch = said };
        using var work = MiniPlans.Context(plan, link).NewWork();
        work.Learner.Model.Initialise(1);
        work.Prepare(Position.Start, null);
        Assert.Equal(microBatches, work.Step(Position.Start).MicroBatches.Count);
    }
}
