using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class AgentProcessTests
{
    private const long Endless = 1_000_000;

    [Fact]
    public async Task A_stage_runs_to_its_end_and_tells_each_step_checkpoint_and_line_once_and_in_order()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, 25));
        await test.Ledger.Until(
            l => l.Ranks.Any(r => r.State == RankState.Done) && l.Lines.ContainsValue("step 25") && l.Checkpoints.Count == 3, "done");

        Assert.Equal(Enumerable.Range(1, 25).Select(i => (long)i), test.Ledger.Do(l => l.Samples.Select(s => s.Step).ToList()));
        Assert.Equal([10L, 20, 25], test.Ledger.Do(l => l.Checkpoints.Select(c => c.Step).ToList()));
        Assert.Contains("a warning of the rank", test.Ledger.Do(l => l.Lines.Values.ToList()));
        Assert.Equal(["first_step", "load", "restore", "spawn"],
            test.Ledger.Do(l => l.Beats[^1].LaunchSeconds.Keys.Order(StringComparer.Ordinal).ToList()));
    }

    /// <summary>Half a second: one agent, whose rank trains nothing.</summary>
    [Fact]
    public async Task A_checkpoint_is_read_again_beside_the_training_once_by_order_and_a_damaged_one_is_told_and_lies_aside()
    {
        using var disk = new Checkpoints.CheckpointDisk();
        var made = disk.Make(10);
        var order = AgentUnderTest.Start(1, Endless);
        (order.Start.Assignment.Plan.CheckpointRoot, order.Start.Assignment.Attempt.Run) = (Path.Combine(disk.Folder, "..", ".."), "run");
        order.Start.Assignment.Attempt.Stage = "pretrain";
        await using var test = await AgentUnderTest.Begin(order);
        await test.Ledger.Until(l => l.Samples.Count > 0, "a step");
        test.Ledger.Do(l => l.Read = new ReadOrder { Id = 7, Path = made.Path, Digest = made.Digest, Share = 0, Of = 1 });
        await test.Ledger.Until(l => l.Beats.Exists(b => b.Reads.Count > 0), "the reading told");
        Assert.Equal((7, 0, ""), test.Ledger.Do(l => l.Beats.SelectMany(b => b.Reads).Select(r => (r.Id, r.Share, r.Unreadable)).First()));
        disk.Damage(10);
        test.Ledger.Do(l => l.Read = new ReadOrder { Id = 8, Path = made.Path, Digest = made.Digest, Share = 0, Of = 1 });
        await test.Ledger.Until(l => l.Beats.Exists(b => b.RefusedCheckpoints.Count > 0), "the damage told");
        var refused = test.Ledger.Do(l => l.Beats.SelectMany(b => b.RefusedCheckpoints).First());
        Assert.Equal((made.Path, made.Digest, 1), (refused.Path, refused.Digest, refused.Attempt));
        Assert.StartsWith("read again by the agent on node-0, ", refused.Reason, StringComparison.Ordinal);
        Assert.Contains("refused-step-00000010.attempt-1", disk.Names);
        Assert.DoesNotContain(test.Ledger.Do(l => l.Ranks), r => r.State == RankState.Exited);
        Assert.Single(test.Ledger.Do(l => l.Beats.SelectMany(b => b.Reads).DistinctBy(r => r.Id).ToList()));
    }

    [Fact]
    public async Task A_killed_rank_is_told_with_its_signal_and_the_next_attempt_runs_in_the_warm_standby()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless));
        await test.Ledger.Until(l => l.Samples.Count > 100, "100 steps, in which the standby warms up");
        long killed = TimeProvider.System.GetTimestamp();
        AgentUnderTest.Kill(test.Rank(1).Pid);
        await test.Ledger.Until(l => l.Ranks.Any(r => r.State == RankState.Exited), "the exit told");
        var dead = test.Rank(1);
        var told = TimeProvider.System.GetElapsedTime(killed);
        Assert.Equal(137, dead.ExitCode);
        Assert.Equal("", dead.Error);
        Assert.StartsWith("step ", dead.LastLine, StringComparison.Ordinal);

        test.Ledger.Do(l => l.Order = AgentUnderTest.Restart(2, Endless, 10));
        await test.Ledger.Until(l => l.Samples.Any(s => s.Attempt == 2), "a step of attempt 2");
        string parts = string.Join(", ", test.Ledger.Do(l => l.Beats[^1].LaunchSeconds.Select(p => $"{p.Key} {p.Value:0.000} s").ToList()));
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"rank killed -> exit told {told.TotalSeconds:0.000} s -> first step "
                + $"{TimeProvider.System.GetElapsedTime(killed).TotalSeconds:0.000} s ({parts})");
        Assert.Equal(11, test.Ledger.Do(l => l.Samples.First(s => s.Attempt == 2).Step));
        await test.Ledger.Until(l => l.Lines.ContainsKey((2, 0, 0)), "lines of attempt 2 from 0");
        Assert.Single(test.Ledger.Do(l => l.Ranks));
    }

    [Fact]
    public async Task A_rank_that_lived_when_it_was_superseded_is_told_until_its_end_is_acknowledged_and_then_forgotten()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless));
        await test.Ledger.Until(l => l.Samples.Count > 0, "a step");
        int hung = test.Rank(1).Pid;
        test.Ledger.Do(l => l.Order = AgentUnderTest.Restart(2, Endless, 10));
        await test.Ledger.Until(l => l.Ranks is [{ Attempt: 2 }] && l.Samples.Any(s => s.Attempt == 2), "the new rank alone in a beat");
        Assert.True(AgentUnderTest.ProcessGone(hung));
        Assert.Contains(test.Ledger.Do(l => l.Beats.SelectMany(b => b.Ranks).ToList()), r => r.Pid == hung && r.State == RankState.Exited);
    }

    [Fact]
    public async Task Every_call_shows_the_agents_token_and_its_ranks_do_not_inherit_it()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless));
        await test.Ledger.Until(l => l.Samples.Count > 0 && l.Lines.Count > 0, "a step and a line");
        Assert.Equal([$"Bearer {AgentUnderTest.Token}"], test.Ledger.Do(l => l.Tokens.ToList()));
        string environment = await File.ReadAllTextAsync($"/proc/{test.Rank(1).Pid}/environ", TestContext.Current.CancellationToken);
        Assert.NotEmpty(environment);
        Assert.DoesNotContain(AgentUnderTest.Token, environment, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_agent_had_not_told_when_it_was_killed_is_told_by_the_next_one_and_then_deleted()
    {
        string root = Directory.CreateTempSubdirectory("dsops-untold-").FullName;
        try
        {
            var first = AgentUnderTest.Start(1, Endless);
            first.Start.Assignment.Plan.CheckpointRoot = root;
            string folder = StepJournal.FolderOf(first.Start.Assignment);
            await using var test = await AgentUnderTest.Begin(first);
            await test.Ledger.Until(l => l.Samples.Count > 0, "a step");
            await test.StopControlPlane();
            long told = test.Ledger.Do(l => l.Samples[^1].Step);
            await AgentUnderTest.Seen(
                async () => (await UntoldSteps.Open(first.Start.Assignment)!.Recall(long.MaxValue, 1)).Count > told + 20);
            AgentUnderTest.Kill(test.Agent.Id);
            await AgentUnderTest.Gone(test.Rank(1).Pid);

            long resumed = told + 20;
            var second = AgentUnderTest.Start(2, resumed + 5);
            second.Start.Assignment.Plan.CheckpointRoot = root;
            second.Start.Assignment.ResumeFrom = new CheckpointRef { Step = resumed };
            test.Ledger.Do(l => l.Order = second);
            await test.StartControlPlane();
            test.StartAgent([]);
            await test.Ledger.Until(l => l.Ranks.Any(r => r.State == RankState.Done) && l.Samples[^1].Step == resumed + 5, "done");
            Assert.Equal(
                [.. Enumerable.Range(1, (int)resumed).Select(i => (1, (long)i)),
                    .. Enumerable.Range((int)resumed + 1, 5).Select(i => (2, (long)i))],
                test.Ledger.Do(l => l.Samples.Select(s => (s.Attempt, s.Step)).Order().ToList()));

            test.Ledger.Do(l => l.Order = new Order { Stop = new Stop { Reason = "test" } });
            await test.Ended();
            Assert.False(Directory.Exists(folder));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Fact]
    public async Task A_rank_whose_agent_is_killed_is_gone_too()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless));
        await test.Ledger.Until(l => l.Samples.Count > 0, "a step");
        int rank = test.Rank(1).Pid;
        AgentUnderTest.Kill(test.Agent.Id);
        await AgentUnderTest.Gone(rank);
    }

    [Fact]
    public async Task Nothing_is_lost_and_training_goes_on_while_the_control_plane_is_away_and_back_on_another_port()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless));
        await test.Ledger.Until(l => l.Samples.Count > 10, "10 steps");
        await test.StopControlPlane();
        long before = test.Ledger.Do(l => l.Samples[^1].Step);
        int rank = test.Rank(1).Pid;
        await test.StartControlPlane();
        await test.Ledger.Until(l => l.Registrations.Count == 2 && l.Samples[^1].Step > before + 20, "steps after the return");

        Assert.Equal(rank, test.Rank(1).Pid);
        Assert.Equal(rank, test.Ledger.Do(l => l.Registrations[1].Ranks.Single().Pid));
        var steps = test.Ledger.Do(l => l.Samples.Select(s => s.Step).ToList());
        Assert.Equal(Enumerable.Range(1, steps.Count).Select(i => (long)i), steps);
    }

    [Fact]
    public async Task A_rank_that_is_killed_while_nobody_answers_trains_again_in_the_same_attempt_and_is_told_afterwards()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless));
        await test.Ledger.Until(l => l.Checkpoints.Count > 1, "two checkpoints");
        await test.StopControlPlane();
        int killed = test.Rank(1).Pid;
        AgentUnderTest.Kill(killed);
        await test.Logged("goes on from step");
        await test.StartControlPlane();
        await test.Ledger.Until(l => l.Beats[^1].Ranks.Any(r => r.LocalTry == 1 && r.State == RankState.Training)
            && l.Beats.Any(b => b.LocalRestarts.Count > 0), "the rank of local try 1, and how it came to be");

        var told = test.Ledger.Do(l => l.Beats.SelectMany(b => b.LocalRestarts).First());
        Assert.Equal((1, 1, 137, killed), (told.Attempt, told.LocalTry, told.Ended.ExitCode, told.Ended.Pid));
        Assert.True(told.WithoutContact.ToTimeSpan() >= AlonePlan.AloneAfter);
        Assert.NotEqual("", told.Reason);
        Assert.NotNull(test.Ledger.Do(l => l.Registrations[1].WithoutContact));
        Assert.NotEqual(killed, Assert.Single(test.Ledger.Do(l => l.Ranks)).Pid);
        await test.Ledger.Until(l => l.Samples.Count > 0 && l.Samples[^1].Step > told.Ended.Step + 5, "steps beyond the death");
        var steps = test.Ledger.Do(l => l.Samples.Select(s => s.Step).Distinct().Order().ToList());
        Assert.Equal(Enumerable.Range(1, steps.Count).Select(i => (long)i), steps);
        Assert.Equal([1], test.Ledger.Do(l => l.Samples.Select(s => s.Attempt).Distinct().ToList()));
    }

    [Fact]
    public async Task While_the_control_plane_answers_a_dead_rank_waits_for_its_word()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless));
        await test.Ledger.Until(l => l.Samples.Count > 0, "a step");
        AgentUnderTest.Kill(test.Rank(1).Pid);
        await test.Ledger.Until(l => l.Ranks.Any(r => r.State == RankState.Exited), "the exit told");
        int beats = test.Ledger.Do(l => l.Beats.Count);
        // Ranks that stand are asked about ten times a second: so many beats are longer than the agent would wait if it were alone.
        await test.Ledger.Until(l => l.Beats.Count > beats + 60, "sixty more beats");
        Assert.Equal((RankState.Exited, 0), (test.Rank(1).State, test.Rank(1).LocalTry));

        test.Ledger.Do(l => l.Undecided = "the control plane has not been able to write for 4 s");
        await test.Ledger.Until(l => l.Ranks.Any(r => r.LocalTry == 1 && r.State == RankState.Training), "it acts once nobody decides");
    }

    [Fact]
    public async Task Lines_that_the_control_plane_does_not_take_are_no_lost_contact()
    {
        await using var test = new AgentUnderTest();
        test.Ledger.Order = AgentUnderTest.Start(1, Endless);
        test.Ledger.RefusesLinesWith = StatusCode.Unavailable;
        await test.StartControlPlane();
        test.StartAgent([]);
        await test.Ledger.Until(l => l.NotTaken > 1 && l.Samples.Count > 20, "batches whose store is away, and steps");
        int away = test.Ledger.Do(l =>
        {
            (l.RefusesLinesWith, l.LinesAfter) = (StatusCode.ResourceExhausted, "1");
            return l.NotTaken;
        });
        await test.Ledger.Until(l => l.NotTaken > away + 1, "batches that came too often");
        Assert.DoesNotContain("the control plane did not take", test.AgentLog, StringComparison.Ordinal);
        test.Ledger.Do(l => l.RefusesLinesWith = null);
        await test.Ledger.Until(l => l.Lines.ContainsKey((1, 0, 0)), "the first line, as soon as its store is back");

        test.Ledger.Do(l => l.RefusesLinesWith = StatusCode.NotFound);
        int before = test.Ledger.Do(l => l.NotTaken);
        await test.Ledger.Until(l => l.NotTaken > before + 2, "batches that nobody wants");
        await test.Ledger.Until(
            _ => test.AgentLog.Contains("the control plane did not take", StringComparison.Ordinal), "a line about them");
        Assert.Single(test.Ledger.Do(l => l.Registrations.ToList()));
        Assert.DoesNotContain("contact with the control plane lost", test.AgentLog, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Told_to_stop_with_time_to_save_the_rank_saves_and_the_agent_ends()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless));
        await test.Ledger.Until(l => l.Samples.Count > 10, "10 steps");
        int rank = test.Rank(1).Pid;
        test.Ledger.Do(l => l.Order = new Order
        {
            Stop = new Stop { Reason = "paused", SaveWithin = Duration.FromTimeSpan(TimeSpan.FromSeconds(10)) },
        });
        Assert.Equal(0, await test.Ended());
        Assert.True(AgentUnderTest.ProcessGone(rank));
        Assert.Equal(test.Ledger.Do(l => l.Samples[^1].Step), test.Ledger.Do(l => l.Checkpoints[^1].Step));
    }

    [Fact]
    public async Task An_order_of_an_older_attempt_changes_nothing()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(5, Endless));
        await test.Ledger.Until(l => l.Samples.Count > 0, "a step");
        int rank = test.Rank(5).Pid;
        int beats = test.Ledger.Do(l =>
        {
            l.Order = AgentUnderTest.Restart(4, Endless, 0);
            return l.Beats.Count;
        });
        await test.Ledger.Until(l => l.Beats.Count > beats + 5, "five more beats");
        Assert.Equal(rank, test.Rank(5).Pid);
        Assert.Equal([5], test.Ledger.Do(l => l.Samples.Select(s => s.Attempt).Distinct().ToList()));
    }

    [Fact]
    public async Task An_agent_of_another_protocol_ends_with_the_control_planes_words()
    {
        await using var test = new AgentUnderTest();
        test.Ledger.RefuseWith = "this control plane speaks protocol 9, the agent 1; update the worker";
        await test.StartControlPlane();
        test.StartAgent([]);
        Assert.Equal(NodeAgent.ProtocolRefused, await test.Ended());
        Assert.Contains("update the worker", test.AgentLog, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_is_alone_for_too_long_saves_and_gives_up()
    {
        await using var test = await AgentUnderTest.Begin(AgentUnderTest.Start(1, Endless), "--give-up-after", "5s");
        await test.Ledger.Until(l => l.Samples.Count > 0, "a step");
        int rank = test.Rank(1).Pid;
        await test.StopControlPlane();
        Assert.Equal(NodeAgent.GaveUp, await test.Ended());
        Assert.True(AgentUnderTest.ProcessGone(rank));
        Assert.Contains("no contact with the control plane", test.AgentLog, StringComparison.Ordinal);
    }
}
