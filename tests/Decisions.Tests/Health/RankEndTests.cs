using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

public sealed class RankEndTests
{
    private static readonly NodeId Node = new("node-0");
    private static readonly Stage Stage = new StageWorld().Stage with { Attempt = 1, LaunchedFrom = 4 };

    private static RankStatus Ended(int code, long step = 5) => new(0, 1, RankState.Exited, 1, step, "64", TimeSpan.Zero, code, "", 0);

    private static Failure Of(RankStatus rank) => RankEnd.Of(Stage.Watched, Node, rank, StageWorld.Epoch, StageWorld.Epoch);

    [Fact]
    public void What_a_rank_says_and_prints_is_shown_and_never_compared() =>
        Gen.Select(Gen.Int[0, 5].Select(i => new[] { 0, 1, 3, 134, 139, 137 }[i]), Gen.String, Gen.String).Sample((code, said, printed) =>
        {
            var one = Of(Ended(code));
            var two = Of(Ended(code) with { Error = said, LastLine = printed });
            Assert.NotEqual("", one.Signature);
            Assert.Equal(one.Signature, two.Signature);
        });

    [Fact]
    public void The_same_fault_is_known_by_how_where_and_at_which_step_it_ended()
    {
        var fault = Ended(1) with
        {
            Fault = "System.InvalidOperationException at DeepSeekOps.Worker.Training.Loop.StageLoop.<Step>b__12_0 0x7fffa1",
        };
        Assert.Equal(Of(fault).Signature,
            Of(fault with { Fault = fault.Fault.Replace("12_0 0x7fffa1", "7_3 0x10bc", StringComparison.Ordinal) }).Signature);
        Assert.NotEqual(Of(fault).Signature, Of(fault with { Fault = "System.IO.IOException at DeepSeekOps.Worker.Data.Read" }).Signature);
        Assert.NotEqual(Of(fault).Signature, Of(fault with { Step = 6 }).Signature);
        Assert.NotEqual(Of(fault).Signature, Of(fault with { ExitCode = 3 }).Signature);
    }

    [Fact]
    public void A_kill_before_the_first_step_says_nothing_of_the_program_unless_memory_ran_out()
    {
        Assert.Equal("", Of(Ended(137, step: 4)).Signature);
        Assert.Equal("", Of(Ended(143, step: 0)).Signature);
        var memory = Of(Ended(137, step: 4) with { MemoryKill = "cgroup oom_kill went 3 → 4" });
        Assert.NotEqual("", memory.Signature);
        Assert.Equal("rank 0 on node-0 was ended by signal 9 (SIGKILL), probably out of memory (cgroup oom_kill went 3 → 4) at step 4",
            memory.Sentence);
    }

    [Fact]
    public void Code_0_in_the_middle_of_the_work_is_no_good_end_and_what_was_printed_may_say_why()
    {
        Assert.Equal("ended-early", Of(Ended(0)).Exit?.Class);
        Assert.Equal("disk-full", Of(Ended(0) with { LastLines = ["OSError: [Errno 28] No space left on device"] }).Exit?.Class);
    }

    [Fact]
    public void What_ended_a_rank_is_looked_for_in_its_last_lines_and_in_its_exceptions_type()
    {
        Assert.Equal("killed", Of(Ended(137)).Exit?.Class);
        Assert.Equal("host-out-of-memory", Of(Ended(137) with { MemoryKill = "cgroup oom_kill went 3 → 4" }).Exit?.Class);
        Assert.Equal("bad-data", Of(Ended(65)).Exit?.Class);
        Assert.Equal("disk-full", Of(Ended(1) with { Error = "No space left on device : '/d'", Fault = "A.E at A.B" }).Exit?.Class);
        Assert.Equal("missing-library", Of(Ended(1) with { Error = "libx", Fault = "System.DllNotFoundException at A.B" }).Exit?.Class);
        var printed = Of(Ended(134) with { LastLine = "   at A.B()", LastLines = ["what():  CUDA out of memory. Tried", "   at A.B()"] });
        Assert.Equal(("cuda-out-of-memory", true), (printed.Exit?.Class, printed.Exit?.Sure));
    }

    [Fact]
    public void What_no_launch_cures_fails_the_stage_the_first_time_with_its_fix()
    {
        var world = new StageWorld();
        for (int turn = 0; turn < 2_000 && world.Stage.Phase is not Phase.Failed; turn++)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
            if (world.Live.FirstOrDefault()?.Rank is { Step: >= 2, State: RankState.Training })
            {
                world.Live.First().EndRank(1, "System.IO.IOException: No space left on device : '/data/step-2'");
            }
        }

        var failed = Assert.IsType<Phase.Failed>(world.Stage.Phase);
        Assert.Equal(1, world.Stage.Attempt);
        Assert.Contains("no space is left on a disk: another launch would end the same. Free space, or write elsewhere. Then `dsops retry",
            failed.Why, StringComparison.Ordinal);
    }

    /// <summary>An agent that breaks before it is heard says why in its own output alone.</summary>
    [Theory]
    [InlineData("Unhandled exception. System.IO.IOException: No space left on device : '/data/agent.json'", true)]
    [InlineData("Unhandled exception. System.InvalidOperationException: not this time", false)]
    public void An_agent_whose_words_say_that_no_launch_cures_it_is_not_launched_again(string said, bool gaveUp)
    {
        var running = new RunningStage();
        var broken = running.Pod with { Phase = PodPhase.Exited, ExitCode = 134, Said = [said, "   at A.B()"] };
        var decision = StagePlanner.Decide(
            running.Stage, running.Vitals.Observe(running.Stage.Watched, running.With(broken), running.Now), running.Now.At);
        Assert.Equal(gaveUp, decision.Next.Phase is Phase.Stopping { Then: Ending.Fail });
        Assert.Contains(said[..50], decision.Reason, StringComparison.Ordinal);
        Assert.Equal(gaveUp, decision.Reason.Contains("another launch would end the same", StringComparison.Ordinal));
    }

    [Fact]
    public void The_last_line_is_not_told_as_the_cause()
    {
        Assert.Equal("rank 0 on node-0 was ended by signal 9 (SIGKILL) at step 5; last line: 'pretrain: model and data ready after 0.09 s'",
            Of(Ended(137) with { LastLine = "pretrain: model and data ready after 0.09 s" }).Sentence);
        Assert.Equal("rank 0 on node-0 exited with code 1 at step 5: no such device",
            Of(Ended(1) with { Error = "no such device.\n", LastLine = "step 5" }).Sentence);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(139)]
    [InlineData(137)]
    public void The_same_end_at_the_same_step_gives_up_after_three_launches(int code)
    {
        var world = new StageWorld();
        for (int turn = 0; turn < 2_000 && world.Stage.Phase is not Phase.Failed; turn++)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
            if (world.Live.FirstOrDefault()?.Rank is { Step: >= 2, State: RankState.Training })
            {
                world.Live.First().EndRank(code, "");
            }
        }

        var failed = Assert.IsType<Phase.Failed>(world.Stage.Phase);
        Assert.Equal(3, world.Stage.Attempt);
        Assert.StartsWith("3 launches ended by the same fault", failed.Why, StringComparison.Ordinal);
    }

    [Fact]
    public void What_an_agent_did_by_itself_is_told_once_and_counts_as_a_launch()
    {
        var running = new RunningStage();
        var restart = new LocalRestart(running.Node, running.Now.At, running.Stage.Attempt, 1,
            Ended(1, 30) with { Attempt = running.Stage.Attempt },
            TimeSpan.FromSeconds(12), "the control plane at http://127.0.0.1:1 does not answer: Unavailable");
        var news = running.Observe(running.Now) with { News = News.None with { LocalRestarts = [restart] } };
        var told = StagePlanner.Decide(running.Stage, news, running.Now.At).Next;
        var again = StagePlanner.Decide(told with { Outbox = [] }, news, running.Now.At).Next;
        Assert.IsType<Phase.Running>(told.Phase);
        Assert.Equal((1, running.Stage.Attempt), (told.LocalTry, told.Attempt));
        Assert.Equal(1, told.RestartsByCause[FailureCause.RankExited]);
        var line = Assert.Single(told.Outbox, e => e.Kind == "restarted-by-agent");
        Assert.Contains("does not answer: Unavailable (for 12 s), so its agent launched it again by itself: local try 1", line.Text,
            StringComparison.Ordinal);
        Assert.Empty(again.Outbox);
        Assert.Equal(told.RestartsByCause, again.RestartsByCause);
        var incident = told.NewestIncident!;
        Assert.Equal(("rank exited", "the agent", IncidentState.Acting),
            (incident.Diagnosis?.Cause, incident.Decision?.Rung, incident.State));
        Assert.Contains("its agent launched it again by itself", incident.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_launch_by_the_agent_alone_from_the_newest_known_checkpoint_is_what_was_expected()
    {
        var running = new RunningStage();
        var newest = running.Stage.Checkpoints[^1].Made;
        var stage = running.Stage with { LocalTry = 1, LaunchedFrom = 0 };
        var next = Heard(newest, stage);
        Assert.Equal(newest.Step, next.LaunchedFrom);
        Assert.Empty(next.Outbox);

        var later = Heard(newest with { Step = newest.Step + 5, Digest = "later" }, stage);
        var told = Assert.Single(later.Outbox, e => e.Kind == "goes-on-from");
        Assert.EndsWith($"goes on from step {newest.Step + 5}, the newest whole checkpoint on disk; step {newest.Step} was expected",
            told.Text, StringComparison.Ordinal);

        // Told together with what the rank has made since, after a time in which nobody answered.
        var since = stage.Checkpoints[^1] with
        {
            Made = newest with { Step = newest.Step + 40, Digest = "since", Attempt = stage.Attempt },
        };
        Assert.Empty(Heard(newest, stage with { Checkpoints = [.. stage.Checkpoints, since] }).Outbox);

        Stage Heard(CheckpointMade from, Stage stage) => StagePlanner.Decide(stage, running.Observe(running.Now) with
        {
            News = News.None with { Resumed = [new ResumedFrom(stage.Attempt, from)] },
        }, running.Now.At).Next;
    }

    [Fact]
    public void The_end_of_an_older_local_try_ends_nothing()
    {
        var running = new RunningStage();
        running.EndRank(1, "");
        var newer = running.Stage with { LocalTry = 1 };
        Assert.IsType<Phase.Running>(StagePlanner.Decide(newer, running.Observe(running.Now), running.Now.At).Next.Phase);
    }
}
