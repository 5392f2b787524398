using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class AgentPlanTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static Wanted.Training Training(int attempt) => new(AgentUnderTest.Assignment(attempt, 100), 0);

    private static RankSeen Standby(int slot) => new(slot, 1000 + slot, Now) { Life = RankLife.Ready };

    private static ImmutableArray<AgentAction> Decide(Wanted wanted, params RankSeen[] ranks) =>
        AgentPlan.Decide(wanted, [.. ranks], "node-0", new Standbys(1, NodeHasGpus: true), Now);

    /// <summary>A new order, or a new report, that somebody forgot here is named by its kind.</summary>
    [Fact]
    public void Every_order_and_every_report_has_a_meaning()
    {
        foreach (var kind in Order.Descriptor.Oneofs[0].Fields)
        {
            var order = new Order();
            kind.Accessor.SetValue(order, kind.MessageType.Parser.ParseFrom([]));
            if (order.KindCase is Order.KindOneofCase.Start)
            {
                order.Start.Assignment = AgentUnderTest.Assignment(2, 100);
            }
            else if (order.KindCase is Order.KindOneofCase.RestartRanks)
            {
                order.RestartRanks.Assignment = AgentUnderTest.Assignment(2, 100);
            }
            else if (order.KindCase is Order.KindOneofCase.RollBack)
            {
                order.RollBack.Assignment = AgentUnderTest.Assignment(2, 100);
            }
            Assert.NotNull(AgentPlan.Obey(Training(1), order, Now).Next);
        }
        foreach (var kind in RankReport.Descriptor.Oneofs[0].Fields)
        {
            var report = new RankReport();
            kind.Accessor.SetValue(report, kind.MessageType.Parser.ParseFrom([]));
            Assert.Equal(0, Standby(0).Hear(report, Now).Slot);
        }
    }

    [Fact]
    public void The_warm_standby_is_launched_and_no_new_one_started_before_the_first_step()
    {
        Assert.Equal([new AgentAction.Launch(3, 0)], Decide(Training(1), Standby(3)));
        Assert.Empty(Decide(Training(1), Standby(3).LaunchedAs(0, 1, Now).AndTold()));
        Assert.Equal(
            [new AgentAction.Spawn(null)], Decide(Training(1), Standby(3).LaunchedAs(0, 1, Now).AndTold() with { FirstStepAt = Now }));
    }

    [Fact]
    public void Nothing_of_a_new_attempt_starts_while_a_process_of_an_older_one_lives()
    {
        var old = Standby(1).LaunchedAs(0, 1, Now).AndTold();
        Assert.IsType<AgentAction.Kill>(Assert.Single(Decide(Training(2), old, Standby(2))));
        Assert.Equal([new AgentAction.Launch(2, 0)], Decide(Training(2), old.End(137, "", Now), Standby(2)));
    }

    [Fact]
    public void A_rank_that_exited_is_not_launched_again_by_the_agent_itself() =>
        Assert.Equal([new AgentAction.Spawn(null)], Decide(Training(1), Standby(1).LaunchedAs(0, 1, Now).End(1, "no", Now)));

    [Fact]
    public void A_standby_that_died_is_not_replaced_for_a_minute()
    {
        var dead = Standby(1).End(1, "libtorch is missing", Now);
        Assert.Empty(AgentPlan.Decide(new Wanted.Idle(1), [dead], "node-0", new Standbys(1, NodeHasGpus: true), Now.AddSeconds(59)));
        Assert.Single(AgentPlan.Decide(new Wanted.Idle(1), [dead], "node-0", new Standbys(1, NodeHasGpus: true), Now.AddSeconds(60)));
    }

    [Fact]
    public void Ending_asks_once_then_kills_at_the_deadline_and_ends_when_all_are_gone()
    {
        var rank = Standby(1).LaunchedAs(0, 1, Now).AndTold();
        var ending = new Wanted.Ending(1, "paused", Now.AddSeconds(5), 0);
        Assert.IsType<AgentAction.AskStop>(Assert.Single(Decide(ending, rank)));
        Assert.Empty(Decide(ending, rank with { StopAsked = true }));
        Assert.IsType<AgentAction.Kill>(Assert.Single(Decide(ending with { SaveUntil = Now }, rank with { StopAsked = true })));
        Assert.Equal([new AgentAction.End(0, "paused")], Decide(ending, rank.End(0, "", Now)));
    }

    [Fact]
    public void An_order_to_save_is_passed_on_once_until_a_checkpoint_came()
    {
        var order = new Order { SaveCheckpoint = new SaveCheckpoint { Reason = "asked" } };
        var (first, _) = AgentPlan.Obey(Training(1), order, Now);
        Assert.Equal(first, AgentPlan.Obey(first, order, Now).Next);
        var (second, _) = AgentPlan.Obey(AgentPlan.CheckpointSeen(first, new CheckpointReport { Attempt = 1, Step = 10 }), order, Now);
        Assert.Equal(2, Assert.IsType<Wanted.Training>(second).SaveOrder);
    }

    [Fact]
    public void The_attempt_never_goes_back_and_an_agent_that_ends_stays_so() =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[1, 6]).Array[1, 30].Sample(orders =>
        {
            Wanted wanted = new Wanted.Idle(1);
            foreach (var (kind, attempt) in orders)
            {
                var order = kind switch
                {
                    0 => AgentUnderTest.Start(attempt, 10),
                    1 => AgentUnderTest.Restart(attempt, 10, 0),
                    2 => new Order { Continue = new Continue() },
                    _ => attempt == 6 ? new Order { Stop = new Stop { Reason = "end" } } : new Order(),
                };
                var next = AgentPlan.Obey(wanted, order, Now).Next;
                Assert.True(next.Attempt >= wanted.Attempt);
                Assert.True(wanted is not Wanted.Ending || ReferenceEquals(next, wanted));
                wanted = next;
            }
        });

    /// <summary>With other nodes in the gang the control plane forms it; what it says of another attempt is not for this one.</summary>
    [Fact]
    public void Ranks_of_a_gang_of_several_nodes_wait_until_the_control_plane_says_who_is_in_it()
    {
        var training = new Wanted.Training(Gang(ranksHere: 2, world: 4));
        RankSeen[] ranks = [Standby(1).LaunchedAs(0, 1, Now), Standby(2).LaunchedAs(1, 1, Now)];
        Assert.All(ranks, r => Assert.True(r.WaitsForGang && r.ToStatus(Now).WaitsForGang));
        Assert.Empty(Decide(training, ranks));
        Assert.Empty(Decide(AgentPlan.Obey(training, Form(attempt: 2), Now).Next, ranks));
        var formed = AgentPlan.Obey(training, Form(attempt: 1), Now).Next;
        Assert.Equal([new AgentAction.Tell(1), new AgentAction.Tell(2)], Decide(formed, ranks));
        Assert.Equal([new AgentAction.Tell(2)], Decide(formed, ranks[0].AndTold(), ranks[1]));
        Assert.Null(((Wanted.Training)AgentPlan.Obey(formed, AgentUnderTest.Restart(2, 100, 0), Now).Next).Roster);
    }

    [Fact]
    public void A_gang_of_one_node_is_formed_there_once_all_its_ranks_are_ready()
    {
        var training = new Wanted.Training(Gang(ranksHere: 2, world: 2));
        var warm = Standby(1).LaunchedAs(0, 1, Now);
        var cold = new RankSeen(2, 1002, Now).LaunchedAs(1, 1, Now);
        Assert.Empty(Decide(training, warm, cold));
        Assert.Equal([new AgentAction.Tell(1), new AgentAction.Tell(2)], Decide(training, warm, cold with { Life = RankLife.Ready }));
        Assert.Empty(Decide(training, warm, (cold with { Life = RankLife.Ready }).End(137, "", Now)));
    }

    /// <summary>Two who form one gang count its terms each in his own way: a rank that knows one's would refuse the other's.</summary>
    [Fact]
    public void A_gang_of_one_node_is_formed_by_nobody_else()
    {
        var training = new Wanted.Training(Gang(ranksHere: 2, world: 2));
        Assert.Same(training, AgentPlan.Obey(training, Form(attempt: 1), Now).Next);
    }

    /// <summary>What lives of a broken gang stays warm: it is seated again, and only the rank that is gone gets another process.</summary>
    [Fact]
    public void Survivors_of_a_gang_are_seated_again_and_only_the_dead_are_replaced()
    {
        var next = new Wanted.Training(Gang(ranksHere: 2, world: 4, attempt: 2));
        var dead = Standby(1).LaunchedAs(0, 1, Now).AndTold().End(137, "", Now);
        var busy = Standby(2).LaunchedAs(1, 1, Now).AndTold();
        Assert.Equal([new AgentAction.AskRegroup(2, "superseded by attempt 2")], Decide(next, dead, busy, Standby(3)));
        Assert.Empty(Decide(next, dead, busy with { RegroupAskedAt = Now }, Standby(3)));
        var left = busy.Hear(new RankReport { LeftGang = new RankLeftGang { Reason = "rank 0 is gone", LostPeer = 0 } }, Now);
        Assert.Equal(0, left.ToStatus(Now).LostPeer);
        Assert.Equal([new AgentAction.Reseat(2, 1)], Decide(next, dead, left, Standby(3)));
        var seated = left.LaunchedAs(1, 2, Now);
        Assert.True(seated.WaitsForGang && seated is { LostPeer: null, LeftGang: false });
        Assert.Equal([new AgentAction.Launch(3, 0)], Decide(next, dead, seated, Standby(3)));
    }

    /// <summary>Two nodes of a gang are one now: ranks 2 and 3 are 0 and 1, in the same processes on the same GPUs.</summary>
    [Fact]
    public void A_survivor_of_a_gang_that_lost_a_node_keeps_its_place_on_its_own_under_another_number()
    {
        RankSeen Was(int slot, int rank, int local, int world) =>
            Standby(slot).LaunchedAs(rank, 1, Now, seat: (local, world)).AndTold() with { LeftGang = true };
        Assert.Equal([new AgentAction.Reseat(1, 0), new AgentAction.Reseat(2, 1)],
            Decide(new Wanted.Training(Gang(2, 2, attempt: 2)), Was(1, 2, 0, 4), Was(2, 3, 1, 4)));
        var alone = new Wanted.Training(Gang(1, 1, attempt: 2));
        Assert.Equal([new AgentAction.Reseat(1, 0)], Decide(alone, Was(1, 1, 0, 2)));
        Assert.IsType<AgentAction.Kill>(Assert.Single(Decide(alone, Was(1, 0, 0, 1))));
    }

    [Fact]
    public void A_rank_that_does_not_let_go_or_is_stopped_by_the_kernel_is_replaced()
    {
        var next = new Wanted.Training(Gang(ranksHere: 2, world: 4, attempt: 2));
        var asked = Standby(2).LaunchedAs(1, 1, Now).AndTold() with { RegroupAskedAt = Now - AgentPlan.RegroupWithin };
        Assert.IsType<AgentAction.Kill>(Assert.Single(Decide(next, asked)));
        Assert.IsType<AgentAction.Kill>(Assert.Single(Decide(next, asked with { RegroupAskedAt = null, Halted = true })));
    }

    [Fact]
    public void A_standby_makes_ready_the_gpu_of_a_rank_that_has_ended_and_then_takes_its_place()
    {
        var (first, next) = (Gang(2, 2), Gang(2, 2, attempt: 2));
        (first.Plan.Device, next.Plan.Device) = ("cuda", "cuda");
        var dead = Standby(2).LaunchedAs(1, 1, Now).AndTold().End(137, "", Now);
        var busy = Standby(1).LaunchedAs(0, 1, Now).AndTold();
        AgentAction[] prepares = [new AgentAction.Prepare(3, 1)];
        Assert.Equal(prepares, Decide(new Wanted.Training(first), busy, dead, Standby(3), Standby(4)));
        // Also where the next attempt is known already and the others have not let go.
        Assert.Equal(prepares, Decide(new Wanted.Training(next), busy with { RegroupAskedAt = Now }, dead, Standby(3), Standby(4)));
        var ready = Standby(4) with { PreparedFor = 1 };
        Assert.Empty(Decide(new Wanted.Training(first), busy, dead, Standby(3), ready));
        var seated = busy.LaunchedAs(0, 2, Now).AndTold();
        Assert.Equal([new AgentAction.Launch(4, 1)], Decide(new Wanted.Training(next), seated, dead, Standby(3), ready));
        // One that has a context on another GPU is the last choice for this one.
        var other = ready with { Slot = 3, PreparedFor = 0 };
        Assert.Equal([new AgentAction.Launch(4, 1)], Decide(new Wanted.Training(next), seated, dead, other, Standby(4)));
        // A rank that is done needs nobody, nor does one on a processor; and one that warms up yet cannot be asked.
        Assert.Empty(Decide(new Wanted.Training(first), busy, Standby(2).LaunchedAs(1, 1, Now).AndTold().End(0, "", Now), Standby(3)));
        Assert.Empty(Decide(new Wanted.Training(first), busy, dead, Standby(3) with { Life = RankLife.Warming }));
        Assert.Empty(Decide(new Wanted.Training(Gang(2, 2)), busy, dead, Standby(3)));
    }

    [Fact]
    public void Once_all_ranks_of_a_gang_on_gpus_have_settled_each_has_a_standby_with_its_gpu_ready()
    {
        var gang = Gang(2, 4);
        gang.Plan.Device = "cuda";
        var training = new Wanted.Training(gang) { Roster = new GangRoster() };
        RankSeen Trains(int rank) => Standby(rank).LaunchedAs(rank, 1, Now).AndTold() with { FirstStepAt = Now };
        AgentAction[] Of(int? kept, bool gpus, params RankSeen[] ranks) =>
            [.. AgentPlan.Decide(training, [.. ranks], "node-0", new Standbys(kept, gpus), Now)];
        AgentAction[] two = [new AgentAction.Spawn(null), new AgentAction.Spawn(null)];
        Assert.Equal(two, Of(null, true, Trains(0), Trains(1)));
        Assert.Equal(two[..1], Of(null, false, Trains(0), Trains(1)));
        Assert.Empty(Of(0, true, Trains(0), Trains(1)));
        // While one has not made its first step its memory is its own.
        Assert.Empty(Of(null, true, Trains(0), Trains(1) with { FirstStepAt = null }, Standby(2)));
        AgentAction[] both = [new AgentAction.Prepare(2, 0), new AgentAction.Prepare(3, 1)];
        Assert.Equal(both, Of(null, true, Trains(0), Trains(1), Standby(2), Standby(3)));
        Assert.Equal(both[1..], Of(null, true, Trains(0), Trains(1), Standby(2) with { PreparedFor = 0 }, Standby(3)));
        Assert.Empty(Of(null, true, Trains(0), Trains(1), Standby(2) with { PreparedFor = 0 }, Standby(3) with { PreparedFor = 1 }));
        // The first of few is for a rank that has ended.
        var dead = Trains(1).End(137, "", Now);
        Assert.Equal([new AgentAction.Prepare(2, 1)], Of(1, true, Trains(0), dead, Standby(2)));
    }

    [Fact]
    public void A_node_has_gpus_where_the_kernel_shows_one()
    {
        var folder = Directory.CreateTempSubdirectory("dsops-devices-").FullName;
        Assert.False(Standbys.Of(null, Path.Combine(folder, "none")).NodeHasGpus);
        File.WriteAllText(Path.Combine(folder, "nvidiactl"), "");
        Assert.False(Standbys.Of(null, folder).NodeHasGpus);
        File.WriteAllText(Path.Combine(folder, "nvidia0"), "");
        Assert.Equal(new Standbys(2, true), Standbys.Of(2, folder));
        Directory.Delete(folder, recursive: true);
    }

    private static Assignment Gang(int ranksHere, int world, int attempt = 1)
    {
        var assignment = AgentUnderTest.Assignment(attempt, 100);
        assignment.WorldSize = world;
        assignment.Plan.Device = "cpu";
        assignment.Ranks.Clear();
        assignment.Ranks.Add(Enumerable.Range(0, ranksHere).Select(r => new RankPlacement { Rank = r, Node = "node-0", LocalRank = r }));
        return assignment;
    }

    private static Order Form(int attempt) =>
        new() { Form = new Form { Attempt = attempt, Roster = new GangRoster { Gang = "r/s", Term = attempt } } };
}

file static class RankSeenExtensions
{
    public static RankSeen AndTold(this RankSeen rank) => rank with { Told = true };
}
