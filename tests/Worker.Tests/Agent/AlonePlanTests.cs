using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class AlonePlanTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Alone = TimeSpan.FromSeconds(12);

    private static Wanted.Training Training(int attempt = 2) => new(AgentUnderTest.Assignment(attempt, 100, resumeAt: 20), 0);

    private static RankSeen Ended(int exitCode, int localTry = 0, int attempt = 2) =>
        new RankSeen(1, 1001, Now).LaunchedAs(0, attempt, Now, localTry).End(exitCode, "", Now);

    private static Wanted.Training? Decide(Wanted wanted, TimeSpan? alone, DateTimeOffset at, params RankSeen[] ranks) =>
        AlonePlan.Decide(wanted, [.. ranks], "node-0", alone, at)?.Next;

    [Fact]
    public void A_rank_that_ended_is_launched_again_only_while_nobody_decides()
    {
        Assert.Null(Decide(Training(), null, Now, Ended(137)));
        Assert.Null(Decide(Training(), AlonePlan.AloneAfter - TimeSpan.FromMilliseconds(1), Now, Ended(137)));
        var next = Decide(Training(), Alone, Now, Ended(137));
        Assert.Equal((2, 1), (next!.Attempt, next.LocalTry));
    }

    [Fact]
    public void Three_launches_without_a_new_checkpoint_and_each_waits_longer_than_the_one_before()
    {
        var wanted = Training();
        foreach (int seconds in new[] { 0, 5, 25 })
        {
            var ended = Ended(1, wanted.LocalTry);
            Assert.True(seconds == 0 || Decide(wanted, Alone, Now.AddSeconds(seconds - 1), ended) is null);
            wanted = Decide(wanted, Alone, Now.AddSeconds(seconds), ended)!;
        }

        Assert.Null(Decide(wanted, Alone, Now.AddHours(1), Ended(1, wanted.LocalTry)));
        var saved =
            Assert.IsType<Wanted.Training>(
                AgentPlan.CheckpointSeen(wanted, new CheckpointReport { Attempt = 2, Step = 40, Path = "step-40", Digest = "d" }));
        var again = Decide(saved, Alone, Now, Ended(1, saved.LocalTry))!;
        Assert.Equal(4, again.LocalTry);
        Assert.Equal(40, again.Assignment.ResumeFrom.Step);
    }

    [Theory]
    [InlineData(65)]
    [InlineData(66)]
    [InlineData(127)]
    public void What_no_launch_mends_is_not_launched_again(int exitCode) => Assert.Null(Decide(Training(), Alone, Now, Ended(exitCode)));

    [Fact]
    public void A_gang_with_other_nodes_waits_for_the_control_plane()
    {
        var assignment = AgentUnderTest.Assignment(2, 100);
        // An agent is told of the ranks on its own node, and how many there are in all.
        assignment.WorldSize = 2;
        Assert.Null(Decide(new Wanted.Training(assignment, 0), Alone, Now, Ended(137)));
        assignment.Ranks.Add(new RankPlacement { Rank = 1, Node = "node-1" });
        Assert.Null(Decide(new Wanted.Training(assignment, 0), Alone, Now, Ended(137)));
    }

    [Fact]
    public void An_end_that_belongs_to_an_older_launch_asks_for_nothing()
    {
        Assert.Null(Decide(Training() with { LocalTry = 1 }, Alone, Now, Ended(137, localTry: 0)));
        Assert.Null(Decide(Training(3), Alone, Now, Ended(137, attempt: 2)));
    }

    [Fact]
    public void Nothing_of_a_local_try_starts_while_the_process_before_it_lives()
    {
        var old = new RankSeen(1, 1001, Now).LaunchedAs(0, 2, Now);
        var standby = new RankSeen(2, 1002, Now) { Life = RankLife.Ready };
        var wanted = Training() with { LocalTry = 1 };
        var one = new Standbys(1, NodeHasGpus: true);
        Assert.IsType<AgentAction.Kill>(Assert.Single(AgentPlan.Decide(wanted, [old, standby], "node-0", one, Now)));
        Assert.Equal([new AgentAction.Launch(2, 0)], AgentPlan.Decide(wanted, [old.End(137, "", Now), standby], "node-0", one, Now));
    }

    /// <summary>Orders, ends, silences and late orders in any succession.</summary>
    [Fact]
    public void Never_are_two_ranks_of_one_number_alive_and_launches_only_go_forward() =>
        Gen.Select(Gen.Int[0, 5], Gen.Int[1, 4]).Array[1, 60].Sample(happenings =>
        {
            Wanted wanted = new Wanted.Idle(1);
            ImmutableArray<RankSeen> ranks = [];
            var (now, slot, newest) = (Now, 0, (0, 0));
            TimeSpan? alone = null;
            foreach (var (what, number) in happenings)
            {
                now += TimeSpan.FromSeconds(number);
                alone = what switch { 4 => null, 5 => Alone, _ => alone };
                wanted = what switch
                {
                    0 => AgentPlan.Obey(wanted, AgentUnderTest.Start(number, 100), now).Next,
                    1 => AgentPlan.Obey(wanted, AgentUnderTest.Restart(number, 100, 10), now).Next,
                    _ => wanted,
                };
                ranks = what is 2 or 3 ? [.. ranks.Select(r => r.Alive && !r.Standby ? r.End(what == 2 ? 137 : 1, "", now) : r)] : ranks;
                wanted = AlonePlan.Decide(wanted, ranks, "node-0", alone, now)?.Next ?? wanted;
                foreach (var action in AgentPlan.Decide(wanted, ranks, "node-0", new Standbys(0, NodeHasGpus: true), now))
                {
                    ranks = action switch
                    {
                        AgentAction.Spawn { Rank: { } rank } => ranks.Add(new RankSeen(++slot, slot, now)
                            .LaunchedAs(rank, wanted.Attempt, now, ((Wanted.Training)wanted).LocalTry)),
                        AgentAction.Kill kill => [.. ranks.Select(r => r.Slot == kill.Slot ? r.End(137, "", now) : r)],
                        _ => ranks,
                    };
                }

                var alive = ranks.Where(r => r.Alive && !r.Standby).ToList();
                Assert.True(alive.Count <= 1);
                Assert.All(alive, r => Assert.True((r.Attempt, r.LocalTry).CompareTo(newest) >= 0));
                newest = alive.Count == 0 ? newest : (alive[0].Attempt, alive[0].LocalTry);
            }
        });
}
