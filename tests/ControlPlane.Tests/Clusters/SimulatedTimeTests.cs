using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Tests.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;
using Microsoft.Extensions.Options;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

/// <summary>A second of ours is minutes of the simulated cluster: a process that comes late must not look like ranks that hang.</summary>
public sealed class SimulatedTimeTests
{
    private const double Factor = 500;

    private static readonly TimeSpan HangFloor = new RecoveryPolicy().HangFloor;
    private static readonly StageId Stage = new("v3-half", "pretrain");
    private static readonly NodeId[] Nodes = [new("node-0000"), new("node-0001")];

    private readonly Reading clock = new();
    private readonly SimulatedCluster cluster;

    public SimulatedTimeTests() => cluster = new SimulatedCluster(
        Options.Create(new SimulatedClusterOptions { Nodes = 2, TimeFactor = Factor, Faults = FaultMix.None }), clock);

    [Fact]
    public async Task A_turn_that_comes_late_and_has_no_room_for_all_its_steps_is_no_silence()
    {
        await Train();
        long before = Step();
        clock.Pass(TimeSpan.FromSeconds(4));
        var told = Beats();
        Assert.All(told, rank => Assert.True(rank.SinceProgress < HangFloor, $"{rank.SinceProgress} at step {rank.Step}"));
        Assert.True(told[0].Step > before, "it trained in that time");
    }

    [Fact]
    public async Task A_turn_that_takes_long_is_no_silence_of_whoever_speaks_last()
    {
        await Train();
        // Each look at the clock finds it a second later, as where the processor has other work.
        clock.PassAtEachLook(TimeSpan.FromSeconds(1));
        Assert.All(Beats(), rank => Assert.True(rank.SinceProgress < HangFloor, $"{rank.SinceProgress} at step {rank.Step}"));
    }

    [Fact]
    public async Task A_launch_that_this_process_tells_late_is_no_hang_of_those_who_were_told_first()
    {
        await Train();
        var words = cluster.Turn();
        cluster.Obey(words[0], Reply(new WorkerOrder.RestartRanks(Assignment(words[0].Pod.Node, attempt: 2), "again"), words[0]));
        clock.Pass(TimeSpan.FromSeconds(4));
        Assert.All(Beats().Where(r => r.Attempt == 2), rank => Assert.Equal(TimeSpan.Zero, rank.SinceProgress));
    }

    [Fact]
    public async Task A_rank_that_hangs_is_told_with_the_simulated_time_that_it_made_no_progress()
    {
        await Train();
        cluster.Turn()[0].Pod.Hang();
        clock.Pass(TimeSpan.FromSeconds(2));
        Assert.All(Beats(), rank => Assert.InRange(rank.SinceProgress.TotalSeconds, 2 * Factor, 3 * Factor));
    }

    /// <summary>Both nodes train attempt 1.</summary>
    private async Task Train()
    {
        await cluster.CreatePods(new GangGrant(Stage, 1, [.. Nodes], 8, clock.GetUtcNow()), CancellationToken.None);
        while (Step() == 0)
        {
            clock.Pass(TimeSpan.FromMilliseconds(200));
            foreach (var word in cluster.Turn())
            {
                cluster.Obey(word, Reply(new WorkerOrder.Start(Assignment(word.Pod.Node, attempt: 1)), word));
            }
        }
    }

    private long Step() => cluster.Turn().SelectMany(w => w.Beat?.Ranks ?? []).Select(r => r.Step).DefaultIfEmpty(0).Max();

    private ImmutableArray<RankStatus> Beats()
    {
        var told = cluster.Turn().SelectMany(w => w.Beat!.Ranks).ToImmutableArray();
        Assert.Equal(16, told.Length);
        return told;
    }

    private static WorkerReply Reply(WorkerOrder order, SimulatedWord to) => new(order, TimeSpan.FromSeconds(1), to.Beat?.Sequence ?? 0);

    private static Assignment Assignment(NodeId node, int attempt) => new(Stage, attempt,
        [.. Enumerable.Range(0, 8).Select(r => new RankPlacement((Array.IndexOf(Nodes, node) * 8) + r, node, r))], 16,
        PipelineText.Parse(Examples.Read("v3-half")).Spec!, null, null, null);

    /// <summary>Time that passes when a test says so, or whenever somebody looks.</summary>
    private sealed class Reading : TimeProvider
    {
        private TimeSpan passed;
        private TimeSpan atEachLook;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan time) => passed += time;

        public void PassAtEachLook(TimeSpan time) => atEachLook = time;

        public override long GetTimestamp() => (passed += atEachLook).Ticks;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch + passed;
    }
}
