using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Placement;

public sealed class PlacementQueueTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly Gen<GangRequest> AnyRequest =
        Gen.Select(Gen.Int[0, 40], Gen.Int[1, 40], Gen.Int[1, 8], Gen.Int[0, 3], Gen.Int[0, 3], Gen.Int[0, 100], Gen.Int[0, 600])
            .Select((name, nodes, slots, priority, team, since, minutes) =>
                Request($"r{name}", nodes, slots, priority * 100, $"team-{team}", since)
                with
                { Expected = minutes == 0 ? null : TimeSpan.FromMinutes(minutes), GroupNodes = minutes % 2 == 0 ? 8 : 1 });

    private static readonly Gen<PlacementQuestion> AnyQuestion =
        Gen.Select(Gen.Int[1, 96], AnyRequest.Array[0, 30], Gen.Int[0, 5].Array[96], Gen.Bool)
            .Select((nodes, requests, health, borrow) => new PlacementQuestion(
                new ClusterSnapshot(
                    [.. Fabric.H800(nodes)
                        .Select((n, i) => n with { Health = health[i] > 3 ? (NodeHealth)(health[i] - 3) : NodeHealth.Ready })], [], Now),
                [], [.. requests.DistinctBy(r => r.Stage)],
                PlacementPolicy.Default with { Borrow = borrow, QuotaSlots = Quotas() }, Now));

    private static ImmutableDictionary<string, int> Quotas() => ImmutableDictionary<string, int>.Empty.Add("team-0", 64).Add("team-1", 400);

    [Fact]
    public void No_gpu_is_granted_twice_and_only_on_ready_nodes() => AnyQuestion.Sample(question =>
    {
        var answer = Chain(question, rounds: 3, out var held);
        foreach (var node in question.Cluster.Nodes)
        {
            int used = held.Where(h => h.Nodes.Contains(node.Id)).Sum(h => h.SlotsPerNode);
            Assert.InRange(used, 0, node.Health == NodeHealth.Ready ? node.Slots : 0);
        }
    });

    [Fact]
    public void A_gang_gets_all_of_its_nodes_or_none_and_everyone_hears_why() => AnyQuestion.Sample(question =>
    {
        var answer = PlacementQueue.Decide(question);
        foreach (var request in question.Waiting)
        {
            var placed = answer.Placed.SingleOrDefault(p => p.Grant.Stage == request.Stage);
            Assert.True(placed is null == answer.Pending.ContainsKey(request.Stage));
            Assert.True(placed is null || placed.Grant.Nodes.Distinct().Count() == request.Nodes);
            Assert.NotEmpty(placed?.Reason ?? answer.Pending[request.Stage].Reason);
        }
    });

    [Fact]
    public void The_same_question_has_the_same_answer() => AnyQuestion.Sample(question =>
    {
        var first = PlacementQueue.Decide(question);
        var second = PlacementQueue.Decide(question with { Waiting = [.. question.Waiting.Reverse()] });
        Assert.Equal(first.Placed.Select(Describe), second.Placed.Select(Describe));
    });

    [Fact]
    public void Without_borrowing_no_team_holds_more_than_it_owns() => AnyQuestion.Sample(question =>
    {
        var strict = question with { Policy = question.Policy with { Borrow = false } };
        _ = Chain(strict, rounds: 2, out var held);
        foreach (var team in held.GroupBy(h => h.Team))
        {
            Assert.InRange(team.Sum(g => g.Nodes.Length * g.SlotsPerNode), 0, Quotas().GetValueOrDefault(team.Key));
        }
    });

    [Fact]
    public void A_gang_for_the_whole_cluster_is_not_starved_by_small_ones() => Gen.Int[1, 1_000_000].Sample(seed =>
    {
        // Small gangs come all the time, each an hour long; the big one must start when those that ran before it are done.
        var random = new Random(seed);
        var cluster = new ClusterSnapshot(Fabric.H800(32), [], Now);
        var held = ImmutableArray<GangGrant>.Empty;
        var waiting = new List<GangRequest> { Request("big", 32, 8, 0, "a", since: 1) with { Expected = TimeSpan.FromHours(5) } };
        int made = 0;
        for (int minute = 0; minute < 180; minute += 5)
        {
            var at = Now.AddMinutes(minute);
            held = [.. held.Where(h => h.ExpectedEnd > at)];
            waiting.Add(
                Request($"small{made++}", random.Next(1, 8), 8, 0, "b",
                    since: 2 + minute) with
                { Expected = TimeSpan.FromMinutes(random.Next(5, 60)) });
            var answer =
                PlacementQueue.Decide(new PlacementQuestion(cluster, held, [.. waiting.Where(_ => minute > 0 || _.Stage.Run != "big")],
                PlacementPolicy.Default, at));
            held = [.. held, .. answer.Placed.Select(p => p.Grant)];
            waiting.RemoveAll(w => answer.Placed.Any(p => p.Grant.Stage == w.Stage));
            if (held.Any(h => h.Stage.Run == "big"))
            {
                Assert.InRange(minute, 0, 65);
                return;
            }
        }

        Assert.Fail("the big gang never started");
    });

    [Fact]
    public void A_gap_is_filled_only_by_gangs_that_end_before_the_reservation()
    {
        var held = Grant("running", 24, endsInMinutes: 60);
        var big = Request("big", 32, 8, 0, "a", since: 1);
        var quick = Request("quick", 4, 8, 0, "a", since: 2) with { Expected = TimeSpan.FromMinutes(30) };
        var slow = Request("slow", 4, 8, 0, "a", since: 3) with { Expected = TimeSpan.FromMinutes(90) };
        var answer = PlacementQueue.Decide(Ask(32, [held], [big, quick, slow]));
        Assert.Equal("quick", Assert.Single(answer.Placed).Grant.Stage.Run);
        Assert.Equal(Now.AddMinutes(60), answer.Pending[big.Stage].Eta!.Likely);
        Assert.Contains("reserved from 1 h from now", answer.Pending[big.Stage].Reason, StringComparison.Ordinal);
        Assert.Contains("held together for big/s (32 nodes)", answer.Pending[slow.Stage].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void An_urgent_gang_pushes_out_the_cheapest_lower_ones_after_a_checkpoint()
    {
        var old = Grant("old", 16, null) with { Priority = 0, At = Now.AddHours(-9), SaveTime = TimeSpan.FromSeconds(100) };
        var young = Grant("young", 16, null, first: 16) with
        {
            Priority = 0,
            At = Now.AddMinutes(-5),
            SaveTime = TimeSpan.FromSeconds(100),
        };
        var answer = PlacementQueue.Decide(Ask(32, [old, young], [Request("urgent", 16, 8, 200, "a", since: 0)]));
        var preemption = Assert.Single(answer.Preemptions);
        Assert.Equal("young", preemption.Stage.Run);
        Assert.Equal(TimeSpan.FromSeconds(300), preemption.Grace);
        Assert.Contains("young/s is asked to save and give way", answer.Pending[new StageId("urgent", "s")].Reason,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Equal_priority_is_never_pushed_out()
    {
        var answer = PlacementQueue.Decide(Ask(32, [Grant("running", 32, null)], [Request("same", 1, 8, 0, "a", since: 0)]));
        Assert.Empty(answer.Preemptions);
        Assert.Contains("32 busy", answer.Pending[new StageId("same", "s")].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Groups_stay_under_one_leaf_and_ranks_follow_the_fabric()
    {
        var answer = PlacementQueue.Decide(Ask(256, [], [Request("v3", 128, 8, 0, "a", since: 0) with { GroupNodes = 8 }]));
        var nodes = Assert.Single(answer.Placed).Grant.Nodes;
        Assert.Equal(nodes.OrderBy(n => n.Name, StringComparer.Ordinal), nodes);
        Assert.All(nodes.Chunk(8),
            group => Assert.Single(
                group.Select(n => int.Parse(n.Name[5..], System.Globalization.CultureInfo.InvariantCulture) / 32).Distinct()));
        Assert.Contains("under 4 leaves", answer.Placed[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_that_just_failed_the_stage_is_taken_again_only_if_there_is_no_other()
    {
        var avoid = ImmutableDictionary<NodeId, string>.Empty.Add(new NodeId("node-0000"), "its agent died at 12:00");
        var request = Request("mini", 1, 1, 0, "a", since: 0) with { Avoid = avoid };
        var two = PlacementQueue.Decide(Ask(2, [], [request])).Placed[0];
        Assert.Equal("node-0001", two.Grant.Nodes[0].Name);
        var one = PlacementQueue.Decide(Ask(1, [], [request])).Placed[0];
        Assert.Equal("placed on node-0000; no other node is free, so it takes node-0000 (its agent died at 12:00) again", one.Reason);
    }

    [Fact]
    public void A_wish_larger_than_the_cluster_is_told_so_at_once()
    {
        var answer = PlacementQueue.Decide(Ask(4, [], [Request("huge", 5, 8, 0, "a", since: 0)]));
        var pending = answer.Pending[new StageId("huge", "s")];
        Assert.StartsWith(
            "can never start: it asks for 5 nodes that take 8 ranks and the cluster has 4: cancel it, and submit it "
                + "with fewer resources.nodes",
            pending.Reason, StringComparison.Ordinal);
        var wide = PlacementQueue.Decide(Ask(4, [], [Request("wide", 1, 9, 0, "a", since: 0)])).Pending[new StageId("wide", "s")];
        Assert.EndsWith("has 0; the largest node takes 8: cancel it, and submit it with resources.ranksPerNode of at most 8", wide.Reason,
            StringComparison.Ordinal);
        Assert.Equal((PendingKind.Impossible, 1), (pending.Reasons[0].Kind, pending.Reasons.Length));
    }

    private static PlacementQuestion Ask(int nodes, ImmutableArray<GangGrant> held, ImmutableArray<GangRequest> waiting) =>
        new(new ClusterSnapshot(Fabric.H800(nodes), [], Now), held, waiting, PlacementPolicy.Default, Now);

    private static GangRequest Request(string run, int nodes, int slots, int priority, string team, int since) =>
        new(new StageId(run, "s"), 1, nodes, slots, priority, team, Now.AddSeconds(since), ImmutableDictionary<NodeId, string>.Empty);

    private static GangGrant Grant(string run, int nodes, int? endsInMinutes, int first = 0) =>
        new(new StageId(run, "s"), 1, [.. Fabric.H800(64).Skip(first).Take(nodes).Select(n => n.Id)], 8, Now)
        {
            ExpectedEnd = endsInMinutes is { } minutes ? Now.AddMinutes(minutes) : null,
        };

    private static string Describe(PlacementDecision.Placed placed) => $"{placed.Grant.Stage}: {string.Join(",", placed.Grant.Nodes)}";

    /// <summary>Asks again with what was granted, as the next ticks would.</summary>
    private static PlacementAnswer Chain(PlacementQuestion question, int rounds, out ImmutableArray<GangGrant> held)
    {
        held = question.Held;
        var waiting = question.Waiting;
        var answer = PlacementQueue.Decide(question);
        for (int round = 0; round < rounds; round++)
        {
            var placed = answer.Placed;
            held = [.. held, .. placed.Select(p => p.Grant)];
            waiting = [.. waiting.Where(w => placed.All(p => p.Grant.Stage != w.Stage))];
            answer = PlacementQueue.Decide(question with { Held = held, Waiting = waiting });
        }

        return answer;
    }
}
