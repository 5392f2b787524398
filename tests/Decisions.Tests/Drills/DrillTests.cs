using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Drills;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Spikes;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Drills;

/// <summary>Which target a drill strikes, and how what was said of it is graded.</summary>
public sealed class DrillTests
{
    private static readonly StageId Stage = new("gang", "pretrain");
    private static readonly DateTimeOffset At = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_seed_strikes_the_same_target_again_and_many_seeds_strike_all_of_them()
    {
        var struck = Enumerable.Range(0, 64).Select(seed => Choose(Ground(), DrillFault.KillRank, seed)).ToList();
        Assert.Equal(struck, Enumerable.Range(0, 64).Select(seed => Choose(Ground(), DrillFault.KillRank, seed)));
        Assert.Equal([0, 1, 2, 3], struck.Select(p => p!.Rank!.Value).Distinct().Order());
        Assert.All(struck, p => Assert.Equal(1000 + p!.Rank, p.Pid));
    }

    [Fact]
    public void What_strikes_a_node_names_its_agent_and_no_rank()
    {
        foreach (var fault in new[] { DrillFault.KillAgent, DrillFault.KillNode, DrillFault.LoseContact })
        {
            var plan = Choose(Ground(), fault, 7);
            Assert.NotNull(plan);
            Assert.Null(plan.Rank);
            Assert.Equal(plan.Node == "node-0" ? 500 : 501, plan.Pid);
        }
    }

    [Fact]
    public void A_rate_is_multiplied_by_the_first_rank_whose_word_counts_for_all() =>
        Assert.All(Enumerable.Range(0, 20),
            seed => Assert.Equal(0, Choose(Ground(step: 205) with { ActsOnLosses = true }, DrillFault.Spike, seed)!.Rank));

    [Fact]
    public void What_could_not_be_told_apart_or_would_not_come_back_is_refused_with_what_to_do()
    {
        Assert.Contains("Wait until they do", Refused(Ground("starting"), DrillFault.KillRank), StringComparison.Ordinal);
        Assert.Contains("not over (3)", Refused(Ground() with { Newest = Suspected(3) }, DrillFault.KillRank), StringComparison.Ordinal);
        Assert.Contains("1 good checkpoint", Refused(Ground(checkpoints: [10]), DrillFault.CorruptCheckpoint), StringComparison.Ordinal);
        Assert.Contains("before step 520 ends it", Refused(Ground() with { BreakForgottenAt = 520 }, DrillFault.NotANumber),
            StringComparison.Ordinal);
        Assert.NotNull(Choose(Ground() with { BreakForgottenAt = 20 }, DrillFault.NotANumber, 1));
        Assert.Contains("have trained for 59 s, and what is usual for them is known after 60 s. Wait until then.",
            Refused(Ground() with { Alike = 2, TrainsFor = TimeSpan.FromSeconds(59) }, DrillFault.Slow), StringComparison.Ordinal);
        Assert.NotNull(Choose(Ground() with { Alike = 2, TrainsFor = TimeSpan.FromSeconds(60) }, DrillFault.Slow, 1));
        Assert.Contains("mode: act", Refused(Ground(), DrillFault.Spike), StringComparison.Ordinal);
        Assert.Contains("is at step 204, and what a usual loss is, is known from step 205 on",
            Refused(Ground(step: 204) with { ActsOnLosses = true }, DrillFault.Spike), StringComparison.Ordinal);
        var ground = Ground(step: 235) with { ActsOnLosses = true };
        var replay = new LossAct(LossMove.Replay, 230, 244, 220, 1, 1.8, 0.1, DateTimeOffset.UnixEpoch, "");
        Assert.Contains("on trial until step 244 for the loss that rose at step 230",
            Refused(ground with { Stage = ground.Stage with { RiseInTrial = replay } }, DrillFault.Spike), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_fault_has_a_name_that_leads_back_to_it()
    {
        Assert.All(Enum.GetValues<DrillFault>(), fault => Assert.Equal(fault, DrillFaults.Parse(fault.NameOf())));
        Assert.Null(DrillFaults.Parse("earthquake"));
    }

    [Theory]
    [InlineData(FailureCause.RankExited, 2, 100)]
    [InlineData(FailureCause.RankExited, 1, 65)]
    [InlineData(FailureCause.RankHung, 2, 35)]
    public void A_killed_rank_is_graded_by_cause_and_rank(FailureCause cause, int rank, int grade) =>
        Assert.Equal(grade, DrillCard.Of(Truth(DrillFault.KillRank) with { Rank = 2 }, [Diagnosed(cause, rank, "node-1", 20)]).Grade);

    [Theory]
    [InlineData(DrillFault.KillAgent, FailureCause.NodeLost, "node-1", 35)]
    [InlineData(DrillFault.KillNode, FailureCause.NodeLost, "node-1", 100)]
    [InlineData(DrillFault.KillNode, FailureCause.AgentLost, "node-0", 65)]
    [InlineData(DrillFault.NotANumber, FailureCause.NotFinite, "node-0", 100)]
    [InlineData(DrillFault.Spike, FailureCause.LossRose, "node-0", 100)]
    public void A_lost_node_or_a_number_is_graded_by_what_can_be_known_of_it(
        DrillFault fault, FailureCause cause, string node, int grade) =>
        Assert.Equal(grade, DrillCard.Of(Truth(fault), [Diagnosed(cause, null, node, 25)]).Grade);

    [Fact]
    public void A_slow_rank_is_graded_by_what_is_told_of_it_and_refused_where_it_has_no_like()
    {
        Assert.Contains("no two ranks", Refused(Ground(), DrillFault.Slow), StringComparison.Ordinal);
        Assert.NotNull(Choose(Ground() with { Alike = 2 }, DrillFault.Slow, 3)!.Rank);
        var told = IncidentMachine.Tell(new Incident(Stage, 2, IncidentState.Diagnosed, At.AddSeconds(25), "", 4, []),
            new Diagnosis(At.AddSeconds(25), SlowRank.Cause, "rank 2 is slow", "", "", "", 2, "node-1", 1, 40, []),
            new IncidentDecision(At, "it is told", "advice", 40, []), At.AddSeconds(-5), []);
        var truth = Truth(DrillFault.Slow) with { Rank = 2 };
        Assert.True(DrillCard.Of(truth, [told]) is { Grade: 100, Over: false, Verified: false, NamedAfter.TotalSeconds: 25 });
        Assert.Equal(65, DrillCard.Of(truth with { Rank = 1 }, [told]).Grade);
        Assert.Equal(35, DrillCard.Of(truth, [Diagnosed(FailureCause.RankHung, 2, "node-1", 20)]).Grade);
        Assert.True(DrillCard.Of(truth, [IncidentMachine.Over(told, "none stands out", TimeSpan.FromSeconds(3), "", 90, At.AddSeconds(80))])
            is { Over: true, Verified: true, Grade: 100 });
    }

    [Fact]
    public void A_full_disk_is_right_when_its_file_system_is_named_and_over_with_the_next_checkpoint()
    {
        var told = IncidentMachine.Tell(new Incident(Stage, 2, IncidentState.Diagnosed, At.AddSeconds(3), "", 4, []),
            new Diagnosis(At.AddSeconds(3), "disk full", "the disk is full: /mnt/ckpt (tmpfs) has no room", "", "", "", null, "node-1", 1,
                40, []),
            new IncidentDecision(At, "it is told", IncidentDecision.Advice, 20, []), At, []);
        var truth = Truth(DrillFault.FillDisk) with { File = "/mnt/ckpt" };
        Assert.True(DrillCard.Of(truth, [told]) is { Grade: 100, Verified: false, NamedAfter.TotalSeconds: 3 });
        Assert.Equal(65, DrillCard.Of(truth with { File = "/srv" }, [told]).Grade);
        Assert.Equal(35, DrillCard.Of(truth, [Diagnosed(FailureCause.RankExited, 2, "node-1", 20)]).Grade);
        Assert.True(DrillCard.Of(truth, [IncidentMachine.Over(told, "there is room again", TimeSpan.Zero, "", 50, At.AddSeconds(33))])
            is { Verified: true, StepsLost: 0 });
    }

    [Fact]
    public void An_outage_is_right_when_it_is_told_nothing_is_ended_and_no_step_is_missing()
    {
        var back = At.AddSeconds(25);
        var truth = Truth(DrillFault.KillControlPlane) with { Outage = new OutageSeen(null, "", back) };
        var facts = new OutageFacts(1, "node-0 is in contact again after 25 s", 200, back.AddSeconds(2), 0);
        Assert.True(OutageCard.Of(truth, facts, []) is { Grade: 100, Over: true, Verified: true, StepsLost: 0 });
        Assert.True(OutageCard.Of(truth, facts with { Back = "" }, []) is { Grade: 0, Over: false, Verified: false });
        Assert.False(OutageCard.Of(truth, facts with { Missing = 1 }, []).Verified);
        Assert.False(OutageCard.Of(truth, facts with { Attempt = 2 }, []).Verified);
        Assert.False(OutageCard.Of(truth, facts with { NewestAt = back.AddSeconds(-1) }, []).Verified);
        Assert.True(OutageCard.Of(truth, facts, [Diagnosed(FailureCause.AgentLost, null, "node-1", 25)]) is { Grade: 35, Verified: false });
        // Of before it.
        Assert.Equal(100, OutageCard.Of(truth with { IncidentsBefore = 2 }, facts,
            [Diagnosed(FailureCause.AgentLost, null, "node-1", 25)]).Grade);
        var locked = truth with { Fault = DrillFault.DatabaseDown };
        Assert.Equal(0, OutageCard.Of(locked, facts, []).Grade);
        Assert.True(OutageCard.Of(locked with { Outage = new OutageSeen(TimeSpan.FromSeconds(4), "it cannot be written", back) },
            facts with { Back = "" }, []) is { Grade: 100, Verified: true, NamedAfter.TotalSeconds: 4 });
        Assert.True(Choose(Ground(), DrillFault.DatabaseDown, 1) is { Rank: null, Pid: 0, Node: "" });
    }

    [Fact]
    public void A_damaged_checkpoint_is_named_when_its_file_is()
    {
        var truth = Truth(DrillFault.CorruptCheckpoint) with { Checkpoint = "gang/pretrain/step-00000020", File = "model.safetensors" };
        var lost = Diagnosed(FailureCause.AgentLost, null, "node-1", 25);
        Assert.Equal(35, DrillCard.Of(truth, [lost]).Grade);
        Assert.Equal(65, DrillCard.Of(truth, [lost with { RefusedCheckpoints = [new(truth.Checkpoint, "it is damaged")] }]).Grade);
        Assert.Equal(100, DrillCard.Of(truth,
            [lost with { RefusedCheckpoints = [new(truth.Checkpoint, "model.safetensors is cut")] }]).Grade);
    }

    [Fact]
    public void A_silence_that_ends_by_itself_is_right_when_it_is_told_and_nothing_is_ended_for_it()
    {
        var silent = Suspected(2);
        Assert.False(DrillCard.Of(Truth(DrillFault.LoseContact), [silent]).Verified);
        var over = DrillCard.Of(Truth(DrillFault.LoseContact), [IncidentMachine.HeardAgain(silent, At.AddSeconds(30))]);
        Assert.True(over is { Over: true, Verified: true, Grade: 100 });
        Assert.Contains("node-1 was silent", over.Sentence, StringComparison.Ordinal);
        Assert.Equal(35, DrillCard.Of(Truth(DrillFault.LoseContact), [Diagnosed(FailureCause.AgentLost, null, "node-1", 25)]).Grade);
    }

    [Fact]
    public void A_fault_that_nobody_noticed_has_nothing_and_goes_on_being_waited_for()
    {
        // Of before it, and of another stage.
        var card = DrillCard.Of(Truth(DrillFault.KillRank), [Suspected(1), Suspected(2) with { Stage = new StageId("other", "pretrain") }]);
        Assert.True(card is { Grade: 0, Over: false, Verified: false, DetectedAfter: null, NamedAfter: null, Incident: 0 });
    }

    [Fact]
    public void A_doubt_that_came_to_nothing_is_not_scored_where_the_fault_has_an_incident_of_its_own() =>
        Assert.Equal(3, DrillCard.Of(Truth(DrillFault.KillRank) with { Rank = 2 },
            [Suspected(2), Diagnosed(FailureCause.RankExited, 2, "node-1", 20) with { Number = 3 }]).Incident);

    [Fact]
    public void Whatever_is_recorded_a_grade_is_one_of_four_and_only_the_right_cause_earns_more_than_notice() =>
        Gen.Select(Gen.Enum<DrillFault>().Where(f => !f.IsOutage()), Gen.Enum<FailureCause>(), Gen.Int[0, 3], Gen.Int[0, 200])
            .Sample((fault, cause, rank, step) =>
        {
            var card = DrillCard.Of(Truth(fault) with { Rank = 2 }, [Diagnosed(cause, rank, "node-1", step)]);
            Assert.Contains(card.Grade, new[] { 35, 65, 100 });
            Assert.False(card.Verified);
            Assert.True(card.Grade <= 35 || fault != DrillFault.Hang || cause == FailureCause.RankHung);
        });

    private static DrillPlan? Choose(DrillGround ground, DrillFault fault, int seed) => DrillPlan.Choose(ground, fault, seed, out _);

    private static string Refused(DrillGround ground, DrillFault fault)
    {
        Assert.Null(DrillPlan.Choose(ground, fault, 1, out string refusal));
        return refusal;
    }

    private static DrillTruth Truth(DrillFault fault) => new(fault, Stage, 1, null, "node-1", 20, At, 1, "");

    private static Incident Suspected(int number) =>
        IncidentMachine.Suspect(Stage, number, 4, "no word from the agent on node-1", "node-1", At.AddSeconds(10));

    private static Incident Diagnosed(FailureCause cause, int? rank, string node, long step)
    {
        var failure = new Failure(cause, "it broke", "", new NodeId(node), false, 1, step, At.AddSeconds(1), At.AddSeconds(2))
        { Rank = rank };
        var diagnosis = new Diagnosis(failure.NoticedAt, cause.InWords(), failure.Sentence, "", "", "", rank, node, 1, step, []);
        return IncidentMachine.Diagnose(null, () => new Incident(Stage, 2, IncidentState.Diagnosed, failure.NoticedAt, "", 4, []), failure,
            diagnosis, new IncidentDecision(failure.NoticedAt, "restarting in place", "in place", 10, []), [], null);
    }

    private static DrillGround Ground(string state = "running", ImmutableArray<long>? checkpoints = null, long step = 20)
    {
        ImmutableArray<RankView> ranks =
        [
            .. Enumerable.Range(0, 4).Select(r => new RankView(r, $"node-{r / 2}", 1000 + r, RankState.Training, At, 500 + (r / 2))),
        ];
        var view = new StageView("pretrain", "pretraining", state, "", 1, step, 200, 0, 0, 2.0, null, null,
            1.0, 1e-3, "4Ki", ranks, At, null, null, 20, [], ImmutableDictionary<string, int>.Empty);
        return new DrillGround(new StageReport(Stage, 1, new Phase.Waiting(), "", null, checkpoints ?? [10, 20], view), ranks, null, false);
    }
}
