using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

/// <summary>Many agents that are silent at once are our own fault first; nodes that report a fault are not.</summary>
public sealed class SilentAtOnceTests
{
    private static readonly RunningStage Running = new();
    private static readonly int[] Sizes = [3, 4, 8, 32, 256];

    [Fact]
    public void Agents_that_fall_silent_together_end_no_healthy_job_in_ten_thousand_seeds()
    {
        for (int seed = 0; seed < 10_000; seed++)
        {
            var random = new Random(seed);
            int nodes = Sizes[random.Next(seed % 50 == 0 ? 5 : 4)];
            int least = Math.Max(3, (int)Math.Ceiling(0.55 * nodes));
            int silent = random.Next(3) == 0 ? nodes : random.Next(least, nodes + 1);
            double began = 60 * (10 + (300 * random.NextDouble()));
            var gang = Gang(nodes);
            int[] order = [.. Enumerable.Range(0, nodes)];
            random.Shuffle(order);
            double[] quiet = new double[nodes];
            for (int i = 0; i < nodes; i++)
            {
                quiet[order[i]] = i < silent ? began + (60 * random.NextDouble()) : 2 * random.NextDouble();
            }

            var seen = Seen(gang, n => quiet[n], _ => NodeHealth.Ready);
            var failure = FaultDetector.Find(Running.Stage.Watched, gang, seen, seen.Now.At);
            Assert.True(failure is null, $"seed {seed}, {silent} of {nodes} silent: {failure?.Sentence}");
        }
    }

    [Fact]
    public void A_burst_of_nodes_that_are_not_ready_is_acted_on_however_many_they_are()
    {
        foreach (int lost in (int[])[1, 14, 200, 256])
        {
            var gang = Gang(256);
            var seen = Seen(gang, n => n < lost ? 90 : 1, n => n < lost ? NodeHealth.NotReady : NodeHealth.Ready);
            var failure = FaultDetector.Find(Running.Stage.Watched, gang, seen, seen.Now.At);
            Assert.Equal((FailureCause.NodeLost, true), (failure!.Cause, failure.NodeIsSuspect));
        }
    }

    [Theory]
    [InlineData(256, 1)]
    [InlineData(256, 14)]
    [InlineData(256, 140)]
    [InlineData(3, 1)]
    [InlineData(2, 2)]
    [InlineData(1, 1)]
    public void A_few_that_are_silent_for_long_are_lost(int nodes, int silent)
    {
        var gang = Gang(nodes);
        var seen = Seen(gang, n => n < silent ? 601 : 1, _ => NodeHealth.Ready);
        Assert.Equal(FailureCause.AgentLost, FaultDetector.Find(Running.Stage.Watched, gang, seen, seen.Now.At)?.Cause);
        Assert.Null(FaultDetector.SilentAtOnce(Running.Stage.Watched, gang, seen));
    }

    [Fact]
    public void The_stage_says_that_it_takes_it_for_our_own_fault_and_a_node_that_breaks_meanwhile_is_acted_on()
    {
        var gang = Gang(256);
        var seen = Seen(gang, _ => 1_200, _ => NodeHealth.Ready);
        var stage = Running.Stage with { Phase = new Phase.Running(gang, seen.Now.At, null) };
        Assert.StartsWith("no word from 256 of 256 agents at once for 20 min: taken for a fault between them and here",
            Silence.Of(stage, seen)?.Words, StringComparison.Ordinal);
        var broken = Seen(gang, _ => 1_200, n => n == 17 ? NodeHealth.NotReady : NodeHealth.Ready);
        Assert.Equal("node-17", FaultDetector.Find(stage.Watched, gang, broken, seen.Now.At)?.Node.Name);
    }

    private static GangGrant Gang(int nodes) => Running.Gang with
    {
        Nodes = [.. Enumerable.Range(0, nodes).Select(n => new NodeId($"node-{n}"))],
    };

    /// <param name="quiet">Seconds since the agent of a node was heard.</param>
    private static Observation Seen(GangGrant gang, Func<int, double> quiet, Func<int, NodeHealth> health)
    {
        var now = Running.After(TimeSpan.FromHours(10));
        var agent = Running.Observe(now).Agents[0] with { Ranks = [] };
        var cluster = new ClusterSnapshot(
            [.. gang.Nodes.Select((n, i) => new NodeSeen(n, health(i), "as told", 8, ImmutableDictionary<string, string>.Empty))],
            [.. gang.Nodes.Select(n => new PodSeen(gang.Id, n, PodPhase.Running, 42, null, ""))], now.At);
        return Running.Observe(now, cluster) with
        {
            Agents =
            [
                .. gang.Nodes.Select((n, i) => agent with
                {
                    Node = n, AgentId = $"agent-{n}", Heard = Running.After(TimeSpan.FromHours(10) - TimeSpan.FromSeconds(quiet(i))),
                }),
            ],
        };
    }
}
