using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Recipes.Pipelining;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Pipelining;

/// <summary>What holds of every schedule for any number of ranks and micro-batches that it can run.</summary>
public sealed class PipelineSchedulesTests
{
    private sealed record Step(PipelineSchedule Schedule, int Ranks, int MicroBatches)
    {
        public PipelineRoute Route => new(Schedule, Ranks, MicroBatches);

        public ImmutableArray<PipelineTask> Of(int rank) => PipelineSchedules.Of(Schedule, Ranks, rank, MicroBatches);
    }

    private static readonly Gen<Step> Any = Gen.Select(Gen.Enum<PipelineSchedule>(), Gen.Int[1, 16], Gen.Int[1, 48])
        .Select((schedule, ranks, count) => new Step(schedule, ranks, count));

    private static readonly Gen<Step> Steps = Any.Select(Runnable);

    /// <summary>As many ranks, or twice as many where they have to be even, and micro-batches on top of the fewest.</summary>
    private static Step Runnable(Step any)
    {
        int ranks = any.Schedule == PipelineSchedule.DualPipe ? 2 * ((any.Ranks + 1) / 2) : any.Ranks;
        int count = any.Schedule.FewestMicroBatches(ranks) - 1 + any.MicroBatches;
        return any with { Ranks = ranks, MicroBatches = any.Schedule == PipelineSchedule.DualPipe ? 2 * ((count + 1) / 2) : count };
    }

    [Fact]
    public void Each_micro_batch_goes_through_each_piece_once_forward_once_for_inputs_and_once_for_weights() => Steps.Sample(step =>
    {
        var (forward, inputs, weights) = (new HashSet<(int, int)>(), new HashSet<(int, int)>(), new HashSet<(int, int)>());
        for (int rank = 0; rank < step.Ranks; rank++)
        {
            foreach (var task in step.Of(rank))
            {
                var chunk = (task.Piece, task.MicroBatch);
                Assert.Equal(rank, step.Route.RankOf(task.Piece, task.MicroBatch));
                Assert.Contains(task.Piece, PipelineRoute.PiecesOf(step.Schedule, step.Ranks, rank));
                Assert.True(!task.IsForward || forward.Add(chunk));
                Assert.True(!task.MakesInputGradient || (forward.Contains(chunk) && inputs.Add(chunk)));
                Assert.True(!task.MakesWeightGradient || (inputs.Contains(chunk) && weights.Add(chunk)));
            }
        }

        Assert.All([forward, inputs, weights], made => Assert.Equal(step.Route.Pieces * step.MicroBatches, made.Count));
    });

    [Fact]
    public void A_backward_beside_a_forward_is_another_micro_batchs_and_stands_right_behind_it() => Steps.Sample(step =>
    {
        for (int rank = 0; rank < step.Ranks; rank++)
        {
            var tasks = step.Of(rank);
            foreach (var (i, task) in tasks.Index().Where(t => t.Item.Beside))
            {
                Assert.Equal(PipelineWork.Backward, task.Work);
                Assert.Equal((PipelineWork.Forward, false), (tasks[i - 1].Work, tasks[i - 1].Beside));
                Assert.NotEqual((task.Piece, task.MicroBatch), (tasks[i - 1].Piece, tasks[i - 1].MicroBatch));
            }
        }
    });

    /// <summary>
    /// Between two ranks one output and one gradient may be under way: who has made the next one waits until the last is taken, and who
    /// needs one waits until it comes. Those of one kind come in the order in which they are needed.
    /// </summary>
    [Fact]
    public void Ranks_that_wait_to_send_and_wait_to_receive_never_all_wait() => Steps.Sample(step =>
    {
        var route = step.Route;
        var calls = Enumerable.Range(0, step.Ranks).Select(rank => new Queue<(bool Sends, PipelineMessage Message)>(
            Decisions.Planning.StepSimulation.Together([.. step.Of(rank)]).SelectMany(together =>
                together.Select(route.NeededBy).OfType<PipelineMessage>().Where(m => route.SenderOf(m) != rank).Select(m => (false, m))
                .Concat(together.Select(route.MadeBy).OfType<PipelineMessage>().Where(m => route.ReceiverOf(m) != rank)
                    .Select(m => (true, m)))))).ToList();
        var underWay = new Dictionary<(int From, int To, bool IsGradient), PipelineMessage>();
        bool Does(bool sends, PipelineMessage message)
        {
            var line = (route.SenderOf(message), route.ReceiverOf(message), message.IsGradient);
            if (sends)
            {
                return underWay.TryAdd(line, message);
            }

            Assert.True(!underWay.TryGetValue(line, out var comes) || comes == message, "another comes than is needed");
            return underWay.Remove(line);
        }

        while (calls.Exists(c => c.Count > 0))
        {
            bool moved = false;
            foreach (var own in calls)
            {
                while (own.TryPeek(out var call) && Does(call.Sends, call.Message))
                {
                    own.Dequeue();
                    moved = true;
                }
            }

            Assert.True(moved, "each rank waits for another");
        }

        Assert.Empty(underWay);
    });

    [Fact]
    public void What_one_rank_sends_is_what_the_other_needs() => Steps.Sample(step =>
    {
        var route = step.Route;
        for (int rank = 0; rank < step.Ranks; rank++)
        {
            var needed = step.Of(rank).Select(route.NeededBy).OfType<PipelineMessage>().Where(m => route.SenderOf(m) != rank);
            var sent = Enumerable.Range(0, step.Ranks).Where(r => r != rank).SelectMany(from => route.Sent(from, rank));
            Assert.Equal(needed.OrderBy(Order), sent.OrderBy(Order));
        }

        static (bool, int, int) Order(PipelineMessage m) => (m.IsGradient, m.Piece, m.MicroBatch);
    }, iter: 50);

    /// <summary>
    /// Report table 2 and the published README: as many as ranks under 1F1B and ZB1P, one more than pieces under DualPipe and DualPipeV.
    /// </summary>
    [Fact]
    public void No_more_forward_passes_are_kept_than_published() => Steps.Sample(step =>
    {
        for (int rank = 0; rank < step.Ranks; rank++)
        {
            int kept = 0, most = 0;
            foreach (var task in step.Of(rank))
            {
                most = Math.Max(most, kept += task.IsForward ? 1 : 0);
                kept -= task.MakesWeightGradient ? 1 : 0;
            }

            int bound = step.Schedule switch
            {
                PipelineSchedule.OneForwardOneBackward => Math.Min(step.Ranks - rank, step.MicroBatches),
                PipelineSchedule.ZeroBubble => Math.Min(step.Ranks, step.MicroBatches),
                _ => step.Route.Pieces + 1,
            };
            Assert.True(most <= bound, $"{most} on rank {rank} of {step}, at most {bound}");
            Assert.Equal(0, kept);
            Assert.True(step.Schedule == PipelineSchedule.ZeroBubble || step.Ranks == 1 || most == bound, $"{most} of {bound}: {step}");
        }
    });

    /// <summary>The published counts of DualPipeV's eight steps (deepseek-ai/DualPipe): what they add up to on each rank.</summary>
    [Fact]
    public void DualPipeV_has_the_published_check_sums() => Sums(PipelineSchedule.DualPipeV, (step, rank) =>
        (Own: step.MicroBatches, LeftToTheEnd: step.Ranks, Overlapped: (2 * (step.MicroBatches - (2 * step.Ranks) + rank + 1))
            + step.Ranks - rank - 1 - (rank == step.Ranks - 1 ? 1 : 0)));

    /// <summary>The same with half of the ranks and half of the micro-batches each way.</summary>
    [Fact]
    public void DualPipe_has_the_published_check_sums() => Sums(PipelineSchedule.DualPipe, (step, rank) =>
    {
        int half = step.Ranks / 2, inward = Math.Min(rank, step.Ranks - 1 - rank);
        return (step.MicroBatches / 2, half, (2 * ((step.MicroBatches / 2) - step.Ranks + inward + 1)) + half - inward - 1
            - (inward == half - 1 ? 1 : 0));
    });

    /// <summary>The step that DeepSeek-V3 trained with: 16 ranks, 120 micro-batches.</summary>
    [Fact]
    public void Rank_0_of_DeepSeek_V3_has_23_forwards_97_pairs_23_backwards_and_15_apart()
    {
        var tasks = PipelineSchedules.Of(PipelineSchedule.DualPipe, 16, 0, 120);
        int pairs = tasks.Count(t => t.Beside);
        Assert.Equal((97, 23), (pairs, tasks.Count(t => t.IsForward) - pairs));
        Assert.Equal((23, 15), (tasks.Count(t => t.MakesInputGradient) - pairs, tasks.Count(t => t.Work == PipelineWork.BackwardWeights)));
    }

    [Theory]
    [InlineData(PipelineSchedule.DualPipe, 16, 24, "dualpipe on 16 pipeline ranks needs an even number of at least 32 micro-batches")]
    [InlineData(PipelineSchedule.DualPipe, 4, 9, "an even number of at least 8 micro-batches a step, and there are 9.")]
    [InlineData(PipelineSchedule.DualPipeV, 8, 12, "on 8 pipeline ranks needs at least 16 micro-batches a step, and there are 12.")]
    [InlineData(PipelineSchedule.DualPipe, 3, 12, "dualpipe feeds a pipeline from both ends and cannot have 3 ranks. Write an even number")]
    [InlineData(PipelineSchedule.ZeroBubble, 4, 0, "zb1p on 4 pipeline ranks needs at least 1 micro-batches a step, and there are 0.")]
    public void What_a_schedule_cannot_run_is_refused_with_what_would_do(PipelineSchedule schedule, int ranks, int count, string said)
    {
        var refused = Assert.Throws<InvalidDataException>(() => PipelineSchedules.Of(schedule, ranks, 0, count));
        Assert.Contains(said, refused.Message, StringComparison.Ordinal);
        Assert.Contains("another schedule", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_step_is_either_refused_in_words_or_runs() => Any.Sample(step =>
    {
        var problem = PipelineSchedules.LayoutProblem(step.Schedule, step.Ranks, int.MaxValue)
            ?? PipelineSchedules.CountProblem(step.Schedule, step.Ranks, step.MicroBatches);
        if (problem is not null)
        {
            int told = problem.Field == "pipeline" ? step.Ranks : step.MicroBatches;
            Assert.Contains($"{told}", problem.Message, StringComparison.Ordinal);
            Assert.NotEmpty(problem.Fix);
            Assert.Throws<InvalidDataException>(() => step.Of(0));
        }
    });

    [Theory]
    [InlineData(PipelineSchedule.DualPipeV, 4, 7, "7 layers cannot be cut among 4 ranks of two pieces each, as dualpipev needs.", "most 3")]
    [InlineData(PipelineSchedule.ZeroBubble, 9, 8, "8 layers cannot be cut among 9 ranks.", "at most 8")]
    public void A_model_of_too_few_layers_is_refused(PipelineSchedule schedule, int ranks, int layers, string said, string fix)
    {
        var problem = PipelineSchedules.LayoutProblem(schedule, ranks, layers);
        Assert.Equal(said, problem?.Message);
        Assert.Contains(fix, problem!.Fix, StringComparison.Ordinal);
    }

    private static void Sums(PipelineSchedule schedule, Func<Step, int, (int Own, int LeftToTheEnd, int Overlapped)> expected) =>
        Any.Select(any => Runnable(any with { Schedule = schedule })).Sample(step =>
        {
            for (int rank = 0; rank < step.Ranks; rank++)
            {
                var tasks = step.Of(rank);
                var (own, left, overlapped) = expected(step, rank);
                Assert.All(PipelineRoute.PiecesOf(schedule, step.Ranks, rank), piece =>
                {
                    Assert.Equal(own, tasks.Count(t => t.Piece == piece && t.IsForward));
                    Assert.Equal(own, tasks.Count(t => t.Piece == piece && t.MakesInputGradient));
                });
                // Weight gradients that are left for later: those of step 3 at once, the others after the last forward.
                int last = tasks.ToList().FindLastIndex(t => t.IsForward);
                Assert.Equal(left, tasks.Skip(last).Count(t => t.Work == PipelineWork.BackwardInputs));
                Assert.Equal(left, tasks.Skip(last).Count(t => t.Work == PipelineWork.BackwardWeights));
                Assert.Equal(overlapped, tasks.Count(t => t.Beside));
            }
        });
}
