using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Placement;

public sealed class NodeTestTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 5, 8, 0, 0, TimeSpan.Zero);

    private static readonly NodeFigures Usual = new()
    {
        Device = "8 x cuda", Tflops = 740, MemoryBytesPerSecond = 3e12, ReduceBytesPerSecond = 140e9, DiskWriteBytesPerSecond = 3e9,
        DiskReadBytesPerSecond = 6e9,
    };

    [Fact]
    public void A_wrong_result_fails_a_node_at_once_whatever_its_speed_and_its_past() =>
        Gen.Select(Known, Figures, Gen.Bool).Sample((known, figures, speedActs) =>
        {
            var wrong = figures with { Wrong = ["cuda:3: a product differs"] };
            var test = NodeTestJudge.Judge(Node(1), Now, "asked for", wrong, known, speedActs);
            return test.Result == NodeTestResult.Failed && test.Reason.Contains("cuda:3", StringComparison.Ordinal);
        });

    [Fact]
    public void A_healthy_node_among_healthy_ones_passes_whatever_the_spread_of_two_per_cent() =>
        Gen.Select(Gen.Double[0.98, 1.02].Array[30], Gen.Int[0, 3]).Sample((spread, own) =>
        {
            var known = ImmutableArray<NodeTest>.Empty;
            for (int i = 0; i < spread.Length - 1; i++)
            {
                known = NodeTests.Add(known, Judged(Node(i < own ? 0 : i), Times(spread[i]), known));
            }

            return Judged(Node(0), Times(spread[^1]), known).Result == NodeTestResult.Passed
                && known.All(t => t.Result == NodeTestResult.Passed);
        });

    [Fact]
    public void A_node_at_half_its_memory_is_tested_once_more_and_then_fails_by_the_others_or_by_its_own_past()
    {
        foreach (bool own in (bool[])[true, false])
        {
            var known = Enumerable.Range(0, 5).Aggregate(ImmutableArray<NodeTest>.Empty,
                (all, i) => NodeTests.Add(all, Judged(Node(own ? 9 : i), Usual, all)));
            var slow = Usual with { MemoryBytesPerSecond = 1.5e12 };

            var first = Judged(Node(9), slow, known);
            var second = Judged(Node(9), slow, NodeTests.Add(known, first));

            Assert.Equal((NodeTestResult.Suspect, NodeTestResult.Failed), (first.Result, second.Result));
            Assert.Contains("memory at 1500 GB/s, 50% of ", second.Reason, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void On_one_machine_speeds_are_told_and_nothing_is_done() =>
        Gen.Select(Known, Figures).Sample((known, figures) =>
            NodeTestJudge.Judge(Node(1), Now, "asked for", figures, known, speedActs: false).Result == NodeTestResult.Passed);

    [Fact]
    public void A_test_that_could_not_be_run_neither_fails_nor_clears_a_node()
    {
        var failed = NodeTestJudge.Judge(Node(1), Now, "asked for", Usual with { Wrong = ["memory"] }, [], true);

        var unknown = NodeTestJudge.Untested(Node(1), Now, "asked for", "no image", []);
        var again = NodeTestJudge.Untested(Node(1), Now.AddHours(1), "asked for", "no image", [failed]);
        var third = NodeTestJudge.Untested(Node(1), Now.AddHours(2), "asked for", "no disk", [failed, again]);

        Assert.Equal((NodeTestResult.Inconclusive, NodeTestResult.Failed), (unknown.Result, again.Result));
        Assert.Equal("its test found wrong results: memory (then it could not be tested: no disk)", third.Reason);
    }

    [Fact]
    public void A_node_that_failed_is_out_until_it_passes_or_is_released_and_a_worse_one_stays_what_it_is()
    {
        var failed = NodeTestJudge.Judge(Node(1), Now, "asked for", Usual with { Wrong = ["memory"] }, [], true);
        var seen = Seen(3);

        Assert.Equal(NodeHealth.Cordoned, Health(seen, [failed]));
        Assert.Equal(NodeHealth.Ready, Health(seen, NodeTests.Add([failed], Judged(Node(1), Usual, [failed]))));
        Assert.Equal(NodeHealth.Ready, Health(seen, NodeTests.Release([failed], Node(1))));
        Assert.Equal(NodeHealth.NotReady, Health(seen with
        {
            Nodes = [.. seen.Nodes.Select(n => n with { Health = NodeHealth.NotReady })],
        }, [failed]));
    }

    [Fact]
    public void What_is_in_use_is_never_tested_and_what_waits_keeps_the_rest_free() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[0, 40], Gen.Int[0, 39], Gen.Bool, Gen.Bool).Sample((nodes, held, asked, wait, running) =>
        {
            var question = Question(nodes) with
            {
                Held = held == 0 ? [] : [Grant([.. Enumerable.Range(0, Math.Min(held, nodes)).Select(Node)])],
                GangsWait = wait,
                Asked = [Node(asked)],
                Running = running ? [Node(nodes - 1)] : [],
            };
            var due = NodeTestPlan.Next(question);
            int idle = Math.Max(0, nodes - held);
            return due.All(d => !question.Held.Any(h => h.Nodes.Contains(d.Node)) && !question.Running.Contains(d.Node))
                && due.Select(d => d.Node).Distinct().Count() == due.Length
                && due.Length + question.Running.Count <= Math.Max(1, idle / 8)
                && (!wait || due.All(d => d.ByPerson))
                // Nobody is forgotten: with room, an idle node that was asked for is the first.
                && (asked >= nodes || asked < held || running || due[0] is { ByPerson: true });
        });

    [Fact]
    public void Tests_of_a_week_reach_every_idle_node_once_and_rest()
    {
        var (known, now) = (ImmutableArray<NodeTest>.Empty, Now);
        for (int turn = 0; turn < 40; turn++)
        {
            var due = NodeTestPlan.Next(Tested(Question(32), known) with { Now = now });
            known = due.Aggregate(known, (all, d) => NodeTests.Add(all, Judged(d.Node, Usual, all) with { At = now }));
            now += TimeSpan.FromMinutes(1);
        }

        Assert.Equal(32, known.Select(t => t.Node).Distinct().Count());
        Assert.Equal(32, known.Length);
        Assert.Equal(4, NodeTestPlan.Next(Tested(Question(32), known) with { Now = now + NodeTestPlan.Weekly }).Length);
    }

    [Fact]
    public void A_node_that_comes_back_is_tested_before_those_of_the_week_and_one_that_was_taken_out_is_left_alone()
    {
        ImmutableArray<NodeTest> known =
            [.. Enumerable.Range(1, 7).Select(i => Judged(Node(i), Usual, []) with { At = Now - TimeSpan.FromHours(2) })];
        var question = Tested(Question(8), known) with { Returned = [Node(5)] };
        Assert.Equal("came back", Assert.Single(NodeTestPlan.Next(question)).Why);
        Assert.Equal(Node(0), Assert.Single(NodeTestPlan.Next(question with { Returned = [] })).Node);

        ImmutableArray<Cordon> cordons = [new Cordon(Node(5), "a fan", Now, false), new Cordon(Node(0), "", Now, false)];
        var cordoned = question with { Seen = question.Seen.With(cordons) };
        Assert.Empty(NodeTestPlan.Next(cordoned));
        Assert.Equal(Node(5), Assert.Single(NodeTestPlan.Next(cordoned with { Asked = [Node(5)] })).Node);
        Assert.Empty(NodeTestPlan.Next(question with { Every = null }));
    }

    [Fact]
    public void A_node_in_use_is_refused_with_what_to_do()
    {
        var held = ImmutableArray.Create(Grant([Node(1)]));
        Assert.Contains("in use by mini/pretrain", NodeTestPlan.Refusal(Node(1), Seen(3), held), StringComparison.Ordinal);
        Assert.Null(NodeTestPlan.Refusal(Node(2), Seen(3), held));
    }

    private static Gen<NodeFigures> Figures => Gen.Double[0.1, 2].Select(Times);

    private static Gen<ImmutableArray<NodeTest>> Known => Gen.Select(Gen.Int[0, 9], Gen.Double[0.3, 1.5]).Array[0, 30].Select(all =>
        all.Aggregate(ImmutableArray<NodeTest>.Empty,
            (known, t) => NodeTests.Add(known, NodeTestJudge.Judge(Node(t.Item1), Now, "asked for", Times(t.Item2), known, true))));

    private static NodeFigures Times(double factor) => Usual with
    {
        Tflops = Usual.Tflops * factor,
        MemoryBytesPerSecond = Usual.MemoryBytesPerSecond * factor,
        ReduceBytesPerSecond = Usual.ReduceBytesPerSecond * factor,
    };

    private static NodeTest Judged(NodeId node, NodeFigures figures, ImmutableArray<NodeTest> known) =>
        NodeTestJudge.Judge(node, Now, "asked for", figures, known, speedActs: true);

    private static NodeHealth Health(ClusterSnapshot seen, ImmutableArray<NodeTest> known) =>
        seen.With(known).Nodes.Single(n => n.Id == Node(1)).Health;

    private static NodeTestQuestion Question(int nodes) => new(Seen(nodes), [], false, [], [], [], NodeTestPlan.Weekly, Now);

    private static NodeTestQuestion Tested(NodeTestQuestion question, ImmutableArray<NodeTest> known) =>
        question with { Seen = question.Seen.With(known) };

    private static ClusterSnapshot Seen(int nodes) => new([.. Enumerable.Range(0, nodes).Select(i => new NodeSeen(
        Node(i), NodeHealth.Ready, "", 8, ImmutableDictionary<string, string>.Empty))], [], Now);

    private static GangGrant Grant(ImmutableArray<NodeId> nodes) => new(new StageId("mini", "pretrain"), 1, nodes, 8, Now);

    private static NodeId Node(int i) => new($"node-{i}");
}
