using CsCheck;
using DeepSeekOps.Recipes.Pipelining;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>What holds for any number of ranks and micro-batches; played with ranks that wait for what others send.</summary>
public sealed class PipelineScheduleTests
{
    private static readonly Gen<(int Ranks, int MicroBatches)> Sizes = Gen.Select(Gen.Int[1, 16], Gen.Int[1, 40]);

    [Fact]
    public void Each_micro_batch_goes_forward_once_and_then_backward_once_in_order() => Sizes.Sample((ranks, count) =>
    {
        for (int rank = 0; rank < ranks; rank++)
        {
            var tasks = PipelineSchedule.OneForwardOneBackward(ranks, rank, count);
            Assert.Equal(Enumerable.Range(0, count), tasks.Where(t => t.Work == PipelineWork.Forward).Select(t => t.MicroBatch));
            Assert.Equal(Enumerable.Range(0, count), tasks.Where(t => t.Work == PipelineWork.Backward).Select(t => t.MicroBatch));
            Assert.All(Enumerable.Range(0, count), i => Assert.True(
                tasks.IndexOf(new PipelineTask(PipelineWork.Forward, i)) < tasks.IndexOf(new PipelineTask(PipelineWork.Backward, i))));
        }
    });

    [Fact]
    public void No_more_micro_batches_are_in_flight_than_ranks_come_after() => Sizes.Sample((ranks, count) =>
    {
        for (int rank = 0; rank < ranks; rank++)
        {
            int flying = 0, most = 0;
            foreach (var task in PipelineSchedule.OneForwardOneBackward(ranks, rank, count))
            {
                most = Math.Max(most, flying += task.Work == PipelineWork.Forward ? 1 : -1);
            }

            Assert.Equal(Math.Min(ranks - rank, count), most);
        }
    });

    /// <summary>
    /// Time steps of a forward 1 and a backward 2: the step is the work of all micro-batches and (R − 1)(F + B) of bubble, as the paper
    /// has it (facts of 1F1B), where there are enough micro-batches.
    /// </summary>
    [Fact]
    public void Ranks_that_wait_for_each_other_come_through_with_the_papers_bubble() => Sizes.Sample((ranks, count) =>
    {
        var ended = Play(ranks, count);
        Assert.Equal((3 * count) + (3 * (ranks - 1)), ended);
    });

    private static int Play(int ranks, int count)
    {
        var left = Enumerable.Range(0, ranks)
            .Select(rank => new Queue<PipelineTask>(PipelineSchedule.OneForwardOneBackward(ranks, rank, count))).ToList();
        var (free, done) = (new int[ranks], new Dictionary<(int Rank, PipelineTask Task), int>());
        while (left.Exists(l => l.Count > 0))
        {
            bool moved = false;
            for (int rank = 0; rank < ranks; rank++)
            {
                while (left[rank].TryPeek(out var task) && Ready(rank, task) is { } ready)
                {
                    free[rank] = Math.Max(free[rank], ready) + (task.Work == PipelineWork.Forward ? 1 : 2);
                    done[(rank, left[rank].Dequeue())] = free[rank];
                    moved = true;
                }
            }

            Assert.True(moved, "no rank can go on: each waits for another");
        }

        return free.Max();

        int? Ready(int rank, PipelineTask task)
        {
            int from = task.Work == PipelineWork.Forward ? rank - 1 : rank + 1;
            return from < 0 || from >= ranks ? 0 : done.TryGetValue((from, task), out int at) ? at : null;
        }
    }
}
