using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Placement;

/// <summary>What holds for any cluster, queue and settings: maintenance, spares, groups, quotas and a person's order.</summary>
public sealed class PlacementLawTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly Gen<GangRequest> AnyRequest =
        Gen.Select(Gen.Int[0, 40], Gen.Int[1, 24], Gen.Int[1, 8], Gen.Int[0, 3], Gen.Int[0, 3], Gen.Int[0, 600], Gen.Int[0, 11])
            .Select((name, nodes, slots, priority, team, minutes, kind) =>
                new GangRequest(new StageId($"r{name}", "s"), 1, nodes, slots, priority * 100,
                $"team-{team}", Now.AddSeconds(name), ImmutableDictionary<NodeId, string>.Empty)
                {
                    Expected = minutes == 0 ? null : TimeSpan.FromMinutes(minutes), Restores = kind % 3 == 0,
                    Group = kind < 4 ? "front" : kind == 4 ? "nowhere" : "",
                });

    private static readonly Gen<MaintenanceWindow> AnyWindow =
        Gen.Select(Gen.Int[-300, 600], Gen.Int[1, 300], Gen.Int[0, 60], Gen.Int[1, 30], Gen.Bool)
        .Select((from, minutes, first, nodes, ofGroup) => new MaintenanceWindow($"w{from}-{first}",
            ofGroup ? [] : [.. Fabric.H800(96).Skip(first).Take(nodes).Select(n => n.Id)], ofGroup ? "front" : "", Now.AddMinutes(from),
            Now.AddMinutes(from + minutes), "x"));

    private static readonly Gen<PlacementQuestion> AnyQuestion =
        Gen.Select(Gen.Int[2, 96], AnyRequest.Array[0, 25], AnyWindow.Array[0, 4], Gen.Int[0, 8], Gen.Bool)
            .Select((nodes, requests, windows, spares, borrow) =>
                new PlacementQuestion(new ClusterSnapshot(Fabric.H800(nodes), [], Now), [],
                [.. requests.DistinctBy(r => r.Stage)],
                new PlacementPolicy(ImmutableDictionary<string, int>.Empty.Add("team-0", 64).Add("team-1", 400), borrow, 100)
                {
                    Spares = Math.Min(spares, nodes - 1), Maintenance = [.. windows],
                    Groups = [new NodeGroup("front", ImmutableDictionary<string, string>.Empty.Add(Fabric.LeafLabel, "leaf-000"), [])],
                }, Now));

    [Theory]
    [InlineData("h800-256", 2, 0, 0)]
    [InlineData("h800-256", 7, 0, 0)]
    [InlineData("h800-256", 8, 8, 8)]
    [InlineData("h800-256", 33, 33, 32)]
    [InlineData("llama3-24k", 64, 0, 0)]
    public void Only_leaves_that_could_hold_a_whole_group_are_fragmented(string fabric, int nodes, int free, int whole)
    {
        var seen = new ClusterSnapshot(Fabric.Build(Fabric.Presets[fabric], nodes), [], Now);
        var view = ClusterView.Of("simulated", true, new PlacementQuestion(seen, [], [], PlacementPolicy.Default, Now), []);
        Assert.Equal(new Fragmentation(free, whole), view.Fragmentation);
    }

    [Fact]
    public void Nothing_is_placed_that_could_overlap_maintenance() => AnyQuestion.Sample(question =>
    {
        foreach (var grant in PlacementQueue.Decide(question).Placed.Select(p => p.Grant))
        {
            foreach (var node in question.Cluster.Nodes.Where(n => grant.Nodes.Contains(n.Id)))
            {
                Assert.DoesNotContain(question.Policy.Maintenance, w => w.Covers(node, question.Policy.Groups) && w.Until > Now
                    && (grant.ExpectedEnd is null || grant.ExpectedEnd > w.From));
            }
        }
    });

    [Fact]
    public void Only_a_gang_that_lost_a_node_takes_a_spare() => AnyQuestion.Sample(question =>
    {
        var (held, placed) = (ImmutableArray<GangGrant>.Empty, PlacementQueue.Decide(question).Placed);
        // In the order in which they were placed, since a gang that lost a node may leave fewer free than there should be.
        foreach (var grant in placed.Select(p => p.Grant))
        {
            int before = Whole(question, held), after = Whole(question, held.Add(grant));
            Assert.True(
                grant.Restores || after == before
                    || after >= question.Policy.Spares, $"{grant.Stage} left {after} of {question.Policy.Spares} spares");
            held = held.Add(grant);
        }
    });

    [Fact]
    public void A_gang_of_a_group_gets_nodes_of_that_group_only() => AnyQuestion.Sample(question =>
    {
        foreach (var grant in PlacementQueue.Decide(question).Placed.Select(p => p.Grant).Where(g => g.Group.Length > 0))
        {
            Assert.Equal("front", grant.Group);
            Assert.All(grant.Nodes, n => Assert.Equal("leaf-000", Fabric.LeafOf(question.Cluster.Nodes.Single(s => s.Id == n))));
        }
    });

    [Fact]
    public void Every_refusal_has_the_binding_reason_first_and_names_an_unknown_group() => AnyQuestion.Sample(question =>
    {
        var answer = PlacementQueue.Decide(question);
        Assert.Equal(question.Waiting.Select(w => w.Stage).Order(Comparer<StageId>.Create((a, b) => string.CompareOrdinal(a.Run, b.Run))),
            answer.Order.Order(Comparer<StageId>.Create((a, b) => string.CompareOrdinal(a.Run, b.Run))));
        foreach (var (stage, pending) in answer.Pending)
        {
            Assert.StartsWith(pending.Reasons[0].Text, pending.Reason, StringComparison.Ordinal);
            var request = question.Waiting.Single(w => w.Stage == stage);
            Assert.True(
                request.Group != "nowhere"
                    || pending.Reason.Contains("nodes of group nowhere, and there are front", StringComparison.Ordinal));
        }
    });

    [Fact]
    public void A_moved_gang_stands_before_those_it_was_put_before_and_the_laws_still_hold() =>
        Gen.Select(AnyQuestion, Gen.Int[0, 24], Gen.Int[0, 24]).Sample((question, one, other) =>
        {
            var order = PlacementQueue.Decide(question).Order;
            var startable = question.Waiting.Where(w => w.Group != "nowhere").Select(w => w.Stage).ToHashSet();
            if (order.Length < 2 || order[one % order.Length] == order[other % order.Length])
            {
                return;
            }

            var (stage, before) = (order[one % order.Length], order[other % order.Length]);
            var (moves, refusal) = HandMoves.Add([], order, stage, before, "because");
            Assert.Equal(order.IndexOf(stage) < order.IndexOf(before), refusal is not null);
            var answer = PlacementQueue.Decide(question with { Moves = moves });
            bool bothCan = startable.Contains(stage) && startable.Contains(before)
                && answer.Pending.GetValueOrDefault(stage)?.Reasons[0].Kind is not (PendingKind.Impossible or PendingKind.Quota);
            Assert.True(!bothCan || answer.Order.IndexOf(stage) < answer.Order.IndexOf(before));
            Assert.All(answer.Placed, p => Assert.True(p.Grant.Group != "nowhere"));
        });

    [Fact]
    public void A_move_outlives_the_gang_it_was_made_before()
    {
        StageId[] gangs = [.. "abc".Select(c => new StageId($"{c}", "s"))];
        var waiting =
            gangs.Select((g, i) => new GangRequest(g, 1, 4, 8, (3 - i) * 100, "t", Now, ImmutableDictionary<NodeId, string>.Empty))
                .ToImmutableArray();
        var question = new PlacementQuestion(new ClusterSnapshot(Fabric.H800(2), [], Now), [], waiting, PlacementPolicy.Default, Now);
        var (moves, _) = HandMoves.Add([], [.. gangs], gangs[2], gangs[0], "due");

        var left = question with { Moves = moves, Waiting = waiting.RemoveAt(0), Cluster = new ClusterSnapshot(Fabric.H800(4), [], Now) };

        Assert.Equal("c", Assert.Single(PlacementQueue.Decide(left).Placed).Grant.Stage.Run);
        Assert.Contains("does not wait for nodes; waiting: b/s", HandMoves.Add([], [gangs[1]], gangs[0], null, "").Refusal,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_team_inside_its_quota_takes_back_what_was_borrowed_and_nothing_more()
    {
        var policy = new PlacementPolicy(ImmutableDictionary<string, int>.Empty.Add("owner", 128).Add("other", 128), Borrow: true,
            PreemptAbove: null);
        GangGrant Held(string run, int first, int nodes) =>
            new(new StageId(run, "s"), 1, [.. Fabric.H800(32).Skip(first).Take(nodes).Select(n => n.Id)], 8, Now)
            {
                Team = "other", Priority = 100,
            };
        GangRequest Asks(int nodes) =>
            new(new StageId("mine", "s"), 1, nodes, 8, 100, "owner", Now, ImmutableDictionary<NodeId, string>.Empty);
        var question = new PlacementQuestion(new ClusterSnapshot(Fabric.H800(32), [], Now), [Held("a", 0, 16), Held("b", 16, 16)],
            [Asks(16)], policy, Now);

        var back = Assert.Single(PlacementQueue.Decide(question).Preemptions);
        Assert.Contains("team owner is inside its quota, team other owns 128 GPUs and holds 256", back.Reason, StringComparison.Ordinal);
        Assert.Empty(PlacementQueue.Decide(question with { Waiting = [Asks(17)] }).Preemptions);
        Assert.Empty(PlacementQueue.Decide(question with { Held = [Held("a", 0, 16)], Waiting = [Asks(17)] }).Preemptions);
    }

    [Fact]
    public void Prices_are_those_of_the_gangs_own_save_restart_and_unsaved_work()
    {
        var held = new GangGrant(new StageId("b", "s"), 3, [.. Fabric.H800(32).Select(n => n.Id)], 8, Now) { Priority = 100 };
        var request = new GangRequest(new StageId("a", "s"), 1, 16, 8, 100, "t", Now, ImmutableDictionary<NodeId, string>.Empty)
        {
            Options = [new NodeOption(8, 0.93)],
        };
        var pace =
            PaceSeen.Of(null,
                new GangPace(held.Id, TimeSpan.FromHours(10), TimeSpan.FromMinutes(6), TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(2)),
                Now, 1);
        var question = new PlacementQuestion(new ClusterSnapshot(Fabric.H800(32), [], Now),
            Paces.Apply([held], new Dictionary<StageId, PaceSeen> { [held.Stage] = pace }),
            [request], PlacementPolicy.Default, Now)
        { Paces = new Dictionary<StageId, PaceSeen> { [held.Stage] = pace } };

        var pending = PlacementQueue.Decide(question).Pending[request.Stage];

        var way = Assert.Single(pending.Ways);
        Assert.Equal((256 * 3 / 60.0, 256 * 6 / 60.0), (Math.Round(way.GpuHours ?? 0, 6), Math.Round(way.GpuHoursAtRisk ?? 0, 6)));
        Assert.Equal((Now.AddHours(9), Now.AddHours(10), Now.AddHours(11)),
            (pending.Eta!.Earliest, pending.Eta.Likely, pending.Eta.Latest));
        Assert.Contains("too new to have a scatter", pending.Eta.Basis, StringComparison.Ordinal);
        var free = PlacementQueue.Decide(question with { Held = [held with { Nodes = held.Nodes[..20] }] }).Pending[request.Stage];
        Assert.Equal("8 nodes now: +93 % wall time by the plan, as a new run", free.Ways[0].Text);
        Assert.Equal("dsops clone a a-8n --stage s --nodes 8 | dsops submit -", free.Ways[0].Command);
    }

    [Fact]
    public void Scatter_of_the_predicted_ends_is_the_error_and_an_end_that_stays_has_little()
    {
        PaceSeen? steady = null, wild = null;
        for (int i = 0; i < 40; i++)
        {
            var at = Now.AddSeconds(5 * i);
            var left = TimeSpan.FromHours(10) - TimeSpan.FromSeconds(5 * i);
            steady = PaceSeen.Of(steady, new GangPace(new GangId(new StageId("a", "s"), 1), left, default, null, null), at, 1);
            wild = PaceSeen.Of(wild,
                new GangPace(new GangId(new StageId("a", "s"), 1), left * (i % 2 == 0 ? 0.8 : 1.2), default, null, null), at, 1);
        }

        Assert.Equal(0.01, steady!.Error);
        Assert.InRange(wild!.Error, 0.15, 0.25);
        Assert.InRange((wild.End!.Value - Now).TotalHours, 9.5, 10.5);
    }

    [Fact]
    public void A_lemon_is_chosen_last_and_forgiven_with_time()
    {
        var lemon = Fabric.H800(4)[0].Id;
        var failures = Enumerable.Range(1, 3).Aggregate(ImmutableArray<NodeFailure>.Empty,
            (known, i) =>
            NodeHistory.Add(known, new NodeFailure(lemon, new StageId("a", "s"), i, Decisions.Health.FailureCause.NodeLost, Now)));
        failures = NodeHistory.Add(failures, new NodeFailure(lemon, new StageId("a", "s"), 3, Decisions.Health.FailureCause.NodeLost, Now));
        failures =
            NodeHistory.Add(failures, new NodeFailure(lemon, new StageId("a", "s"), 9, Decisions.Health.FailureCause.RolledBack, Now));
        var seen = new ClusterSnapshot(Fabric.H800(4), [], Now).With(failures);
        var request = new GangRequest(new StageId("b", "s"), 1, 3, 8, 100, "t", Now, ImmutableDictionary<NodeId, string>.Empty);

        Assert.Equal(3, seen.Nodes[0].LemonScore);
        Assert.DoesNotContain(lemon,
            PlacementQueue.Decide(new PlacementQuestion(seen, [], [request], PlacementPolicy.Default, Now)).Placed[0].Grant.Nodes);
        Assert.Equal(1.5, NodeHistory.Score(failures, Now.AddDays(7)));
    }

    private static int Whole(PlacementQuestion question, ImmutableArray<GangGrant> held) => question.Cluster.Nodes.Count(n =>
        held.All(h => !h.Nodes.Contains(n.Id))
            && !question.Policy.Maintenance.Any(w => w.Active(Now) && w.Covers(n, question.Policy.Groups)));
}
