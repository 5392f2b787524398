using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Spikes;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>A person's hand on a stage. About a second in all.</summary>
public sealed class HoldTests
{
    private static readonly Happening[] Faults =
    [
        Happening.Beat, Happening.Tick, Happening.KillRank, Happening.Crash, Happening.KillAgent, Happening.NodeNotReady,
        Happening.NodeReady, Happening.MinutePasses, Happening.ClusterBlind, Happening.ClusterSees, Happening.ControlPlaneDies,
        Happening.TickCrashingBeforeWrite, Happening.TickCrashingBeforeActions,
    ];

    [Fact]
    public void While_a_person_holds_a_stage_no_failure_ends_or_launches_anything() =>
        Gen.Int[0, Faults.Length - 1].Select(i => Faults[i]).Array[5, 60].Sample(faults =>
        {
            var world = Trains();
            world.Hand(By("ann", world));
            var (attempt, gang) = (world.Stage.Attempt, world.Stage.Phase.GangOrNull!.Id);
            foreach (var fault in faults)
            {
                world.Apply(fault);
                Assert.True(world.Stage.Phase is Phase.Running or Phase.Stopping { Then: Ending.Complete } or Phase.Completed);
                Assert.Equal(attempt, world.Stage.Attempt);
                Assert.True(world.Stage.Phase.GangOrNull is null || world.Stage.Phase.GangOrNull.Id == gang);
            }

            Assert.Empty(world.Wrongs);
        }, iter: Lives.Of(200));

    [Fact]
    public void What_was_withheld_is_told_once_and_done_by_the_same_incident_after_the_release()
    {
        var world = Trains();
        world.Hand(By("ann", world));
        world.Apply(Happening.KillRank);
        Until(world, w => w.Stage.NewestIncident is not null);
        Turns(world, 10);
        var held = world.Stage.NewestIncident!;
        Assert.Equal((1, IncidentState.Diagnosed, IncidentDecision.Withheld), (held.Number, held.State, held.Decision!.Rung));
        Assert.Contains("held by ann since", held.Sentence, StringComparison.Ordinal);
        Assert.Contains("would have done this: restarting in place", world.Report.Reason, StringComparison.Ordinal);
        Assert.Single(world.Stage.Outbox, e => e.Kind == "withheld");
        Assert.Single(world.Kept);
        Assert.Empty(world.Stage.Restarts);

        var taken = By("ann", world) with { Taken = true, Stage = "pretrain", Incident = 1 };
        world.Hand(taken);
        Until(world, w => w.Stage.NewestIncident is { State: IncidentState.NeedsHuman });
        Turns(world, 10);
        Assert.Equal((1, 1), (world.Stage.NewestIncident!.Number, world.Stage.Attempt));
        world.Hand(taken with { EndedAt = world.Now, EndedBy = "bob" });
        Until(world, w => w.Stage.NewestIncident is { State: IncidentState.Closed });
        Assert.Equal((1, 2), (world.Stage.NewestIncident!.Number, world.Stage.Attempt));
        Assert.Contains("trained again after", world.Stage.NewestIncident.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_hold_lets_go_by_itself_with_its_time()
    {
        var world = Trains();
        world.Hand(By("ann", world) with { Until = world.Now + TimeSpan.FromMinutes(5) });
        world.Apply(Happening.KillRank);
        Until(world, w => w.Stage.NewestIncident is not null);
        Assert.Equal(1, world.Stage.Attempt);
        Until(world, w => w.Stage.Attempt == 2);
        Assert.True(world.Now >= StageWorld.Epoch + TimeSpan.FromMinutes(5));
    }

    [Fact]
    public void A_number_that_is_not_finite_is_acted_on_all_the_same()
    {
        var world = Trains();
        world.Hand(By("ann", world));
        world.Apply(Happening.SpoilNextBatch);
        Until(world, w => w.Stage.LeftOut.Length > 0);
        Assert.Equal(2, world.Stage.Attempt);
    }

    [Fact]
    public void A_launch_that_waits_is_held_too_and_what_a_person_asks_for_is_not()
    {
        var world = Trains();
        world.Apply(Happening.KillAgent);
        Until(world, w => w.Stage.Phase is Phase.Stopping);
        world.Hand(By("ann", world));
        Until(world, w => w.Stage.Phase is Phase.BackingOff);
        Turns(world, 20);
        Assert.True(world.Stage.Phase is Phase.BackingOff);
        Assert.Contains("would have asked for nodes again", world.Report.Reason, StringComparison.Ordinal);
        Assert.True(world.Report.View.Cost!.Of(GoodputBucket.OnHold) > 0);
        world.RetryFrom(null);
        world.Hand(By("ann", world));
        Until(world, w => w.Stage.Phase is Phase.Running);
        world.Apply(Happening.Pause);
        Until(world, w => w.Stage.Phase is Phase.Paused);
        world.Apply(Happening.Resume);
        Until(world, w => w.Stage.Phase is Phase.Running);
    }

    [Fact]
    public void An_incident_that_a_person_takes_is_theirs_by_name_until_they_give_it_back()
    {
        var world = Trains();
        world.Apply(Happening.KillAgent);
        Until(world, w => w.Stage.NewestIncident is { State: IncidentState.Acting });
        var hold = By("ann", world) with { Taken = true, Stage = "pretrain", Incident = 1 };
        world.Hand(hold);
        Until(world, w => w.Stage.NewestIncident is { State: IncidentState.NeedsHuman });
        Assert.Equal("ann", world.Stage.NewestIncident!.TakenBy);
        Assert.StartsWith("Taken over by ann since", world.Stage.NewestIncident.Sentence, StringComparison.Ordinal);
        Turns(world, 30);
        Assert.False(world.Stage.Phase is Phase.Queued or Phase.Starting or Phase.Running);

        world.Hand(hold with { EndedAt = world.Now, EndedBy = "ann", EndedWhy = "the fan is changed" });
        Until(world, w => w.Stage.NewestIncident is { State: IncidentState.Closed });
        var closed = world.Stage.NewestIncident!;
        Assert.Equal((1, ""), (closed.Number, closed.TakenBy));
        Assert.Contains(closed.Steps, s => s.Text == "given back by ann: the fan is changed");
        Assert.DoesNotContain("Taken over", closed.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_that_is_avoided_may_be_used_again_and_a_launch_in_place_cannot_be_taken_back()
    {
        var world = Trains();
        world.Apply(Happening.KillAgent);
        Until(world, w => w.Stage is { Phase: Phase.Running, Attempt: > 1 });
        Assert.NotEmpty(world.Stage.Avoid);
        Assert.True(world.Report.Incident!.Undo!.Can);
        world.Undo(1);
        Turns(world, 1);
        Assert.Empty(world.Stage.Avoid);
        Assert.Contains("taken back by ann", world.Stage.NewestIncident!.Sentence, StringComparison.Ordinal);
        world.Undo(1);
        Turns(world, 1);
        Assert.Contains(world.Stage.Outbox, e => e.Kind == "not-undone" && e.Text.Contains("already", StringComparison.Ordinal));

        var again = Trains();
        Until(again, w => w.Stage.Checkpoints.Any(c => c.Usable));
        again.Apply(Happening.KillRank);
        Until(again, w => w.Stage is { Phase: Phase.Running, Attempt: 2 });
        var undo = again.Report.Incident!.Undo!;
        Assert.False(undo.Can);
        Assert.Contains("`dsops retry mini --stage pretrain --from ", undo.Words, StringComparison.Ordinal);
    }

    [Fact]
    public void A_lowered_rate_is_the_recipes_again_and_batches_that_were_passed_stay_left_out()
    {
        var running = new Health.RunningStage();
        var now = running.After(TimeSpan.FromSeconds(1));
        long from = running.Stage.Checkpoints[^1].Made.Step;
        var act = new LossAct(LossMove.LowerRate, from + 1, from + 1, from, 1, 2, 0.1, now.At, "rose")
        {
            RateFrom = from + 1, RateUntil = from + 1000, RateFactor = 0.5,
        };
        var diagnosis = new Diagnosis(now.At, "loss rose", "the loss rose", "", "", "", null, "node-0", 1, from, []);
        var incident = new Incident(running.Stage.Id, 1, IncidentState.Closed, now.At, "The loss rose.", 1, []) with
        {
            Diagnosis = diagnosis,
            Decision = new IncidentDecision(now.At, "lower", "after a loss that rose", from, []),
        };
        var undo = new UndoWish(1, running.Stage.Id.Stage, 1, "ann", "");
        Stage With(LossAct done) => running.Stage with
        {
            LossActs = [done],
            NewestIncident = incident,
            Wish = running.Stage.Wish with { Undo = undo },
        };
        var back = StagePlanner.Decide(With(act), running.Observe(now), now.At).Next;
        Assert.IsType<Phase.Restarting>(back.Phase);
        Assert.DoesNotContain(back.LossActs, a => a.Lowers(from + 1));
        Assert.True(back.NewestIncident!.Undone);

        var passed = act with { RateFrom = 0, RateUntil = 0, RateFactor = 1, FirstBatch = 1, LastBatch = 3, Move = LossMove.Skip };
        var stays = StagePlanner.Decide(With(passed), running.Observe(now), now.At).Next;
        Assert.Equal(3, Assert.Single(stays.LossActs).Batches);
        Assert.Contains(stays.Outbox, e => e.Kind == "not-undone" && e.Text.Contains("have been passed", StringComparison.Ordinal));
    }

    [Fact]
    public void A_held_stage_stays_on_its_nodes_although_the_queue_wants_them_and_leaves_once_a_person_asks_or_the_hold_is_over()
    {
        var world = Trains();
        var hold = By("ann", world);
        world.Hand(hold);
        world.Apply(Happening.Preempt);
        Turns(world, 10);
        Assert.IsType<Phase.Running>(world.Stage.Phase);
        Assert.Contains("held by ann since", world.Report.Reason, StringComparison.Ordinal);
        Assert.Contains("stays, although asked to leave: ", world.Report.Reason, StringComparison.Ordinal);
        // Nobody has said it again for half a minute, so nobody wants it any more; and the hold's end does not bring it back.
        world.Apply(Happening.MinutePasses);
        Turns(world, 2);
        Assert.DoesNotContain("asked to leave", world.Report.Reason, StringComparison.Ordinal);
        world.Hand(hold with { EndedAt = world.Now, EndedBy = "ann" });
        Turns(world, 5);
        Assert.IsType<Phase.Running>(world.Stage.Phase);
        world.Apply(Happening.Preempt);
        Until(world, w => w.Stage.Phase is Phase.Stopping);
    }

    [Fact]
    public void Who_is_held_is_no_victim_and_the_one_that_waits_is_told_so()
    {
        var running = new Health.RunningStage();
        var held = running.Stage with { Wish = running.Stage.Wish with { Held = new PersonsHold("ann", "looks at it", running.Now.At) } };
        var pace = StagePace.Of(held, running.Observe(running.Now))!;
        Assert.StartsWith("held by ann since", pace.Hold, StringComparison.Ordinal);
        var over = held with { Wish = held.Wish with { Held = held.Wish.Held! with { EndedAt = running.Now.At } } };
        Assert.Equal("", StagePace.Of(over, running.Observe(running.Now))!.Hold);

        var grant = running.Gang with { Priority = 0 };
        var seen = PaceSeen.Of(null, pace, running.Now.At, 1);
        var request = new GangRequest(new StageId("urgent", "pretrain"), 1, 1, 1, 100, "", running.Now.At,
            ImmutableDictionary<NodeId, string>.Empty);
        PlacementAnswer Ask(ImmutableArray<GangGrant> grants) => PlacementQueue.Decide(new PlacementQuestion(
            running.Cluster, grants, [request], PlacementPolicy.Default with { PreemptAbove = 1 }, running.Now.At));
        Assert.Single(Ask([grant]).Preemptions);
        var answer = Ask(Paces.Apply([grant], new Dictionary<StageId, PaceSeen> { [grant.Stage] = seen }));
        Assert.Empty(answer.Preemptions);
        var drain = PlacementForesight.Drain(new PlacementQuestion(running.Cluster, [grant with { Hold = pace.Hold }], [],
            PlacementPolicy.Default, running.Now.At), running.Node);
        Assert.Contains(drain.Consequences, l => l.Contains("stays until the hold ends", StringComparison.Ordinal));
        Assert.Contains(answer.Pending[request.Stage].Reasons,
            r => r.Kind == PendingKind.Held && r.Text.Contains("does not give way: it is held by ann", StringComparison.Ordinal));
    }

    [Fact]
    public void What_stands_under_a_hold_is_booked_as_that_and_has_no_end_until_the_hold_has_one()
    {
        var world = Trains();
        Until(world, w => w.Stage.Checkpoints.Any(c => c.Usable));
        world.Hand(By("ann", world));
        world.Apply(Happening.KillRank);
        Until(world, w => w.Stage.NewestIncident is not null);
        long Of(GoodputBucket bucket) => world.Report.View.Cost!.Of(bucket);
        var (detection, productive) = (Of(GoodputBucket.Detection), Of(GoodputBucket.Productive));
        Assert.True(detection > 0);
        Assert.Equal("ann", world.Report.View.Stands?.By);
        Assert.Null(world.Report.View.Remaining);
        world.Apply(Happening.MinutePasses);
        Turns(world, 1);
        Assert.True(Of(GoodputBucket.OnHold) >= TimeSpan.FromMinutes(1).Ticks * world.Stage.Account!.Gpus);
        world.Hand(By("ann", world) with { EndedAt = world.Now, EndedBy = "ann" });
        Until(world, w => w.Stage is { Attempt: 2, Phase: Phase.Running });
        // What it waited for a person is no one's detection, and was never productive.
        Assert.Equal(detection, Of(GoodputBucket.Detection));
        Assert.True(Of(GoodputBucket.Productive) + Of(GoodputBucket.LostWork) >= productive);
        Assert.Equal(world.Stage.Account!.Wall.Ticks * world.Stage.Account.Gpus, world.Stage.Account.Booked.GpuTicks.Sum());
        Assert.Null(world.Report.View.Stands);
    }

    private static PersonsHold By(string who, StageWorld world) => new(who, "looks at it", world.Now);

    private static StageWorld Trains()
    {
        var world = new StageWorld();
        Until(world, w => w.Stage.Phase is Phase.Running);
        return world;
    }

    private static void Turns(StageWorld world, int turns)
    {
        for (int turn = 0; turn < turns; turn++)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }
    }

    private static void Until(StageWorld world, Func<StageWorld, bool> reached)
    {
        for (int turn = 0; turn < 4_000 && !reached(world); turn++)
        {
            Turns(world, 1);
        }

        Assert.True(reached(world), $"{world.Stage.Phase}: {world.Report.Reason}");
    }
}
