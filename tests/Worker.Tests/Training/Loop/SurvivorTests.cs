using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Checkpoints;
using DeepSeekOps.Worker.Tests.Parallel;
using DeepSeekOps.Worker.Training.Loop;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>
/// One rank of a gang dies; all of them, the one that takes its place too, go on from what lies in the memory that outlives a rank. Ranks
/// are threads here; that they may be killed at any moment is looked at end to end.
/// </summary>
[Collection(RandomNumbers.OneStream)]
public sealed class SurvivorTests : IDisposable
{
    private const int Steps = 24;

    private readonly MiniPlans _mini = new();
    private readonly List<KeptInTests> _memory = [];

    public void Dispose()
    {
        _memory.ForEach(m => m.Dispose());
        _mini.Dispose();
    }

    [Theory]
    [InlineData("pretrain", 4, 2, 2, false, 0)]
    [InlineData("pretrain", 2, 1, 1, true, 1)]
    [InlineData("pretrain", 4, 2, 2, true, 2, PipelineSchedule.DualPipe)]
    [InlineData("extend", 2, 1, 2, false, 1)]
    [InlineData("sft", 3, 1, 1, false, 2)]
    public void A_gang_that_lost_a_rank_goes_on_from_memory_to_the_last_bit(
        string stage, int ranks, int pipeline, int expert, bool dealt, int victim,
        PipelineSchedule schedule = PipelineSchedule.OneForwardOneBackward)
    {
        var layout = new GangLayout(ranks, pipeline, 1, expert) { DealsMoments = dealt, Schedule = schedule };
        var plan = Plan(stage);
        var whole = Train(plan, stage, layout, run: "whole", stopAt: 9);
        var memory = NewMemory(ranks);
        // While the step is told, and between two steps; and the same once more before the first step is over.
        Killed(plan, stage, layout, 1, memory, victim, r => r.Sample?.Step == 5);
        Killed(plan, stage, layout, 2, memory, (victim + 1) % ranks, r => r.Progress is { Step: 4, State: RankState.Training });
        Killed(plan, stage, layout, 3, memory, victim, r => r.Progress is { Step: 7, State: RankState.Training });
        var last = Train(plan, stage, layout, attempt: 4, memory: memory, stopAt: 9);
        Assert.All(last, r => Assert.InRange(KeptStep(r), 6, 7));
        Assert.Equal(whole[0].Samples.Skip((int)KeptStep(last[0])).Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)),
            last[0].Samples.Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)));
        Assert.Equal(FilesOf(whole), FilesOf(last));
    }

    /// <summary>Its node is gone for good: the other replica goes on with the same batch, from what it has in memory.</summary>
    [Theory]
    [InlineData(2, 1, 1)]
    [InlineData(4, 2, 1)]
    [InlineData(4, 1, 2)]
    public void A_gang_that_lost_a_replica_goes_on_as_one_that_began_there_without_it_to_the_last_bit(int ranks, int pipeline, int expert)
    {
        var (both, one) = (new GangLayout(ranks, pipeline, 1, expert), new GangLayout(ranks / 2, pipeline, 1, expert));
        var (plan, memory) = (Plan("pretrain"), NewMemory(ranks));
        Killed(plan, "pretrain", both, 1, memory, 0, r => r.Sample?.Step == 6);
        List<KeptInTests> left = [.. memory.Where((_, rank) => both.Of(rank).Data / expert == 1)];
        var last = Train(plan, "pretrain", one, attempt: 2, memory: left, stopAt: 9);
        var kept = KeptStep(last[0]);
        Train(plan, "pretrain", both, run: "saved", stopAt: kept);
        var clean = Train(plan, "pretrain", one, run: "saved", attempt: 2, stopAt: 9);
        Assert.Equal(clean[0].Samples.Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)),
            last[0].Samples.Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)));
        Assert.Equal(kept + 1, last[0].Samples[0].Step);
        Assert.Equal(FilesOf(clean), FilesOf(last));
    }

    /// <summary>Its node is gone with its memory, and another came: what it holds is given it by the other replica.</summary>
    [Theory]
    [InlineData(2, 1, 1, 0)]
    [InlineData(4, 2, 1, 3)]
    [InlineData(4, 1, 2, 1)]
    public void A_rank_that_came_with_nothing_is_given_its_state_by_another_replica_to_the_last_bit(
        int ranks, int pipeline, int expert, int victim)
    {
        var (layout, plan) = (new GangLayout(ranks, pipeline, 1, expert), Plan("pretrain"));
        var whole = Train(plan, "pretrain", layout, run: "whole", stopAt: 9);
        var memory = NewMemory(ranks);
        Killed(plan, "pretrain", layout, 1, memory, victim, r => r.Sample?.Step == 6);
        memory[victim] = NewMemory(1)[0];
        var last = Train(plan, "pretrain", layout, attempt: 2, memory: memory, stopAt: 9);
        Assert.All(last, r => Assert.InRange(KeptStep(r), 5, 6));
        Assert.Equal(whole[0].Samples.Skip((int)KeptStep(last[0])).Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)),
            last[0].Samples.Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)));
        Assert.Equal(FilesOf(whole), FilesOf(last));
    }

    [Fact]
    public void With_dealt_moments_nobody_has_what_came_with_nothing_lacks_and_the_checkpoint_counts()
    {
        var (layout, plan) = (new GangLayout(2, 1, 1, 1) { DealsMoments = true }, Plan("pretrain"));
        plan.Checkpoints.EverySteps = 3;
        var memory = NewMemory(2);
        Killed(plan, "pretrain", layout, 1, memory, 1, r => r.Sample?.Step == 7);
        memory[1] = NewMemory(1)[0];
        var last = Train(plan, "pretrain", layout, attempt: 2, memory: memory, stopAt: 8);
        Assert.All(last, r => Assert.Equal(6, r.Reports.Single(x => x.Resumed is not null).Resumed.Checkpoint.Step));
    }

    [Fact]
    public void A_death_in_the_last_evaluation_makes_no_step_again_and_the_final_checkpoint_is_written()
    {
        var (layout, plan) = (new GangLayout(2, 2, 1, 1), Plan("pretrain"));
        var whole = Train(plan, "pretrain", layout, run: "whole");
        var memory = NewMemory(2);
        Killed(plan, "pretrain", layout, 1, memory, 1, r => r.Progress is { Phase: "evaluating", Step: Steps });
        var last = Train(plan, "pretrain", layout, attempt: 2, memory: memory);
        Assert.All(last, r => Assert.Empty(r.Samples));
        Assert.Equal(whole[0].Evaluations.Where(e => e.Step == Steps).Select(e => (e.Name, e.Value)),
            last[0].Evaluations.Select(e => (e.Name, e.Value)));
        Assert.Equal(FilesOf(whole), FilesOf(last));
    }

    [Fact]
    public void A_save_that_a_death_broke_off_is_made_up_for()
    {
        var (layout, plan) = (new GangLayout(2, 1, 1, 2), Plan("pretrain"));
        plan.Checkpoints.EverySteps = 4;
        var memory = NewMemory(2);
        Killed(plan, "pretrain", layout, 1, memory, 1, r => r.Sample?.Step == 5);
        // As where the rank that is gone had not written its part.
        Directory.Delete(Path.Combine(_mini.Root, "test", "pretrain", "step-00000004"), recursive: true);
        Killed(plan, "pretrain", layout, 2, memory, 1, r => r.Sample?.Step == 7);
        Assert.Equal(2, Manifest.Read(Path.Combine(_mini.Root, "test", "pretrain", "step-00000004")).Manifest.Attempt);
    }

    [Fact]
    public void A_rank_without_its_memory_sends_all_back_to_the_checkpoint()
    {
        var (layout, plan) = (new GangLayout(2, 2, 1, 1), Plan("pretrain"));
        plan.Checkpoints.EverySteps = 3;
        var memory = NewMemory(2);
        Killed(plan, "pretrain", layout, 1, memory, 1, r => r.Sample?.Step == 7);
        List<KeptInTests> lost = [memory[0], .. NewMemory(1)];
        var last = Train(plan, "pretrain", layout, attempt: 2, memory: lost, stopAt: 8);
        Assert.All(last, r => Assert.Equal(6, r.Reports.Single(x => x.Resumed is not null).Resumed.Checkpoint.Step));
    }

    [Fact]
    public void What_another_order_of_data_has_kept_is_not_gone_on_from()
    {
        var (layout, plan) = (new GangLayout(2, 2, 1, 1), Plan("pretrain"));
        plan.Checkpoints.EverySteps = 3;
        var memory = NewMemory(2);
        Killed(plan, "pretrain", layout, 1, memory, 1, r => r.Sample?.Step == 7);
        var last = Train(plan, "pretrain", layout, attempt: 2, memory: memory, stopAt: 8, change: a => a.LeftOutBatches.Add(7));
        Assert.All(last, r => Assert.Equal(6, r.Reports.Single(x => x.Resumed is not null).Resumed.Checkpoint.Step));
    }

    private static long KeptStep(RecordingRankLink rank) =>
        Assert.Single(rank.Reports, r => r.Resumed is not null).Resumed is { HasKeptStep: true } resumed ? resumed.KeptStep
            : throw new InvalidOperationException("It went on from a disk.");

    private TrainingPlan Plan(string stage)
    {
        // No checkpoint on the way: what is not in memory would be begun anew.
        var plan = _mini.Plan(stage, every: 1000);
        plan.Checkpoints.InMemoryEvery = 1;
        plan.Model.Layers = 4;
        if (stage == "pretrain")
        {
            plan.Pretraining.Tokens *= 2;
            plan.Pretraining.BatchSize = new BatchSize { From = 8, To = 8 };
        }
        else if (stage == "extend")
        {
            plan.ContextExtension.Phases[1].BatchSize = 2;
        }
        return plan;
    }

    private List<KeptInTests> NewMemory(int ranks)
    {
        List<KeptInTests> made = [.. Enumerable.Range(0, ranks).Select(_ => new KeptInTests())];
        _memory.AddRange(made);
        return made;
    }

    private void Killed(
        TrainingPlan plan, string stage, GangLayout layout, int attempt, List<KeptInTests> memory, int victim, Func<RankReport, bool> at)
    {
        void Die(int rank, RankReport report)
        {
            if (rank == victim && at(report))
            {
                throw new DeathException();
            }
        }
        var ended = Assert.Throws<AggregateException>(
            () => Train(plan, stage, layout, attempt: attempt, memory: memory, onReport: Die));
        Assert.Single(ended.InnerExceptions, e => e is DeathException);
    }

    private List<RecordingRankLink> Train(
        TrainingPlan plan, string stage, GangLayout layout, string run = "test", int attempt = 1, List<KeptInTests>? memory = null,
        Action<int, RankReport>? onReport = null, Action<Assignment>? change = null, long? stopAt = null)
    {
        plan = plan.Clone();
        plan.Layout = layout.ToProto();
        var launch = _mini.Launch(plan, stage, attempt, run: run);
        launch.Assignment.WorldSize = layout.Ranks;
        change?.Invoke(launch.Assignment);
        return [.. SocketRanks.Run(layout, (rank, mesh) =>
        {
            var link = new RecordingRankLink();
            link.OnReport = report =>
            {
                onReport?.Invoke(rank, report);
                if (report.Sample?.Step == stopAt && stopAt is not null)
                {
                    link.OrderStop("a test ends the attempt", save: true);
                }
            };
            var own = launch.Clone();
            own.Rank = rank;
            own.Memory.Add(memory?[rank].Paths ?? []);
            RankProgram.Run(own, link, TimeProvider.System, mesh, CancellationToken.None);
            return link;
        })];
    }

    /// <summary>SHA-256 of each file of tensors of the last checkpoint.</summary>
    private string[] FilesOf(List<RecordingRankLink> ranks) =>
    [
        .. Manifest.Read(Path.Combine(_mini.Root, ranks.SelectMany(r => r.Checkpoints).MaxBy(c => c.Step)!.Path)).Manifest.Files
            .Where(f => f.Name.EndsWith(".safetensors", StringComparison.Ordinal)).Select(f => $"{f.Name} {f.Sha256}"),
    ];

    private sealed class DeathException : Exception;
}
