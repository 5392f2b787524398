using System.Collections.Immutable;
using System.Reflection;
using CsCheck;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Pods;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Health;
using DeepSeekOps.Decisions.Tests.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Incidents;

public sealed class IncidentTests
{
    private static readonly DateTimeOffset Began = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);
    private static readonly StageId Stage = new("a", "pretrain");

    [Fact]
    public void The_chart_has_exactly_the_transitions_that_incidents_make()
    {
        var made = new SortedSet<string>(StringComparer.Ordinal);
        for (int seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var incident = random.Next(3) switch
            {
                0 => IncidentMachine.Suspect(Stage, 1, 4, "no step for 11 s", "node-0", Began),
                1 => Slow(),
                _ => Failed(null, random, 0),
            };
            for (int i = 1; i < 12; i++)
            {
                var hand = new PersonsHold("ann", "", Began) { Taken = true, Incident = 1 };
                incident = incident.TakenBy.Length > 0 ? random.Next(2) == 0 ? IncidentMachine.GiveBack(incident, null, Began) : incident
                    : incident.State != IncidentState.Closed && random.Next(12) == 0 ? IncidentMachine.Take(incident, hand, Began)
                    : !incident.Open ? incident : random.Next(6) switch
                    {
                        0 when incident.State == IncidentState.Suspected => IncidentMachine.HeardAgain(incident, Began),
                        0 => IncidentMachine.Over(incident, "no rank stands out", TimeSpan.FromSeconds(2), "", 12, Began),
                        1 => Failed(incident, random, i),
                        2 => IncidentMachine.Began(incident, 11, [], Began),
                        3 => IncidentMachine.Verify(incident, [new(11, random.Next(4) == 0 ? 5 : 2)], 11 + (i * 2), Began),
                        4 when random.Next(4) == 0 => IncidentMachine.Leave(incident, "a person took over", Began),
                        4 when random.Next(3) == 0 => IncidentMachine.WentOn(incident, Began),
                        5 when random.Next(8) == 0 => IncidentMachine.GiveUp(incident, "nothing helps", Began),
                        _ => incident,
                    };
            }

            foreach (var (from, to) in incident.Steps.Zip(incident.Steps.Skip(1)).Where(p => p.First.State != p.Second.State))
            {
                made.Add($"{from.State} -> {to.State}");
            }
        }

        Assert.Equal(string.Join("\n", StateChart.Edges("Incident")), string.Join("\n", made));
    }

    [Fact]
    public void A_killed_rank_is_closed_only_when_its_steps_were_made_again_with_the_losses_that_were_recorded()
    {
        var world = new StageWorld();
        Until(world, w => w.Live.FirstOrDefault()?.Rank is { Step: >= 7, State: RankState.Training });
        world.Live.First().EndRank(137, "");
        Until(world, w => w.Stage.NewestIncident is { Open: true });
        var opened = world.Stage.NewestIncident!;
        Assert.Equal((IncidentState.Acting, "killed", 0), (opened.State, opened.Diagnosis!.Class, opened.Diagnosis.Rank));
        Assert.Contains(opened.Diagnosis.Refused, r => r.Theory == "memory ran out");
        Assert.Contains(opened.Decision!.Refused, r => r.Remedy == "another gang");
        Until(world, w => w.Stage.NewestIncident is { Open: false });
        var closed = world.Stage.NewestIncident!;
        Assert.Equal([IncidentState.Diagnosed, IncidentState.Acting, IncidentState.Verifying, IncidentState.Closed],
            closed.Steps.Select(s => s.State));
        Assert.Equal((closed.Outcome!.RecordedLoss, 0.0), (closed.Outcome.FirstLoss, closed.Outcome.LargestDifference));
        Assert.True(closed.Outcome.Compared > 0);
        Assert.True(closed.Outcome.BackAt > closed.Outcome.FirstStepAt);
        Assert.InRange(closed.Phases.Sum(p => p.Took.TotalSeconds) - (closed.Outcome.FirstStepAt - closed.HappenedAt!.Value).TotalSeconds,
            -0.001, 0.001);
        Assert.Contains(world.History.SelectMany(s => s.Outbox), e => e.Kind == "verified");
    }

    /// <summary>The store that is away was none of them.</summary>
    [Fact]
    public void The_guide_says_of_each_cause_that_is_only_told_when_it_begins_and_ends()
    {
        var causes = typeof(Incident).Assembly.GetTypes()
            .Select(type => type.GetField("Cause", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
            .Where(field => field is { IsLiteral: true } && field.FieldType == typeof(string))
            .Select(field => (string)field!.GetRawConstantValue()!);
        string guide = File.ReadAllText(Path.Combine(StateChart.Root(), "docs", "states.md"));
        string table = guide[guide.IndexOf("| Cause |", StringComparison.Ordinal)..];
        var rows = table[..table.IndexOf("\n\n", StringComparison.Ordinal)].Split('\n').Skip(2)
            .Select(row => row.Split('|', StringSplitOptions.TrimEntries)).ToList();
        Assert.All(rows, row => Assert.All(row[1..5], cell => Assert.NotEmpty(cell)));
        Assert.Equal(causes.Order(StringComparer.Ordinal), rows.Select(row => row[1].Trim('`')).Order(StringComparer.Ordinal));
    }

    /// <summary>Those of whichever agent was listed first were told, however long the gang waited for another one.</summary>
    [Theory]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(0, false)]
    [InlineData(1, false)]
    public void The_phases_of_a_recovery_are_those_of_the_node_that_the_gang_waited_for(int slow, bool firstStepTold)
    {
        var world = new StageWorld(nodes: 2, slots: 2);
        Until(world, w => w.Live.Count() == 2 && w.Live.All(a => a.Rank is { Step: >= 7, State: RankState.Training }));
        world.Live.First().EndRank(137, "");
        Until(world, w => w.Stage.NewestIncident is { Open: true });
        Until(world, w =>
        {
            foreach (var (agent, at) in w.Live.OrderBy(a => a.Node.Name, StringComparer.Ordinal).Select((a, at) => (a, at)))
            {
                var parts = Parts(("spawn", 0.03), ("load", at == slow ? 0.4 : 0.1), ("restore", 0.05));
                // In the first step itself whoever is fast waits for who is slow.
                agent.Told = at != slow ? parts.Add("first_step", 0.32) : firstStepTold ? parts.Add("first_step", 0.02) : parts;
            }

            return w.Stage.NewestIncident is { Open: false };
        });
        var closed = world.Stage.NewestIncident!;
        Assert.Equal([("spawn", 0.03), ("load", 0.4), ("restore", 0.05), ("first step", firstStepTold ? 0.02 : 0.32)],
            closed.Phases.Skip(2).Select(p => (p.Name, Math.Round(p.Took.TotalSeconds, 6))));
        Assert.Equal((closed.Outcome!.FirstStepAt - closed.HappenedAt!.Value).TotalSeconds,
            closed.Phases.Sum(p => p.Took.TotalSeconds), 0.001);
        string told = Assert.Single(world.History.SelectMany(s => s.Outbox).DistinctBy(e => e.Text), e => e.Kind == "recovered").Text;
        Assert.Contains($"load {Words.Duration(TimeSpan.FromSeconds(0.45))}", told, StringComparison.Ordinal);

        static ImmutableDictionary<string, double> Parts(params (string Name, double Seconds)[] parts) =>
            parts.ToImmutableDictionary(p => p.Name, p => p.Seconds);
    }

    /// <summary>What an hour of its cluster takes is a matter of its pace; the account counts the cluster's time too.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(1_000)]
    public void What_an_incident_of_a_cluster_that_is_simulated_faster_cost_is_of_its_own_time(double factor)
    {
        var closed = Afterwards(again: 2, factor);
        // From the rank's end to the first step made again four seconds, and two of the five steps since, a second each, were made before.
        double seconds = 4 + (4 * 2 / 5.0);
        Assert.Equal(seconds / 3600 * closed.Ranks * factor, closed.Outcome!.GpuHours!.Value, 1e-9 * factor);
    }

    [Fact]
    public void A_restart_that_an_agent_made_by_itself_is_an_incident_told_afterwards_and_closed_by_the_same_proof()
    {
        var closed = Afterwards(again: 2);
        Assert.Equal(IncidentState.Closed, closed.State);
        Assert.Equal([IncidentState.Diagnosed, IncidentState.Acting, IncidentState.Verifying, IncidentState.Closed],
            closed.Steps.Select(s => s.State));
        Assert.Equal((2, 0.0, 11L), (closed.Outcome!.Compared, closed.Outcome.LargestDifference, closed.Outcome.FirstStep));
        Assert.Equal(("rank exited", "the agent", 1), (closed.Diagnosis!.Cause, closed.Decision!.Rung, closed.FailedAttempts.Single()));
        Assert.StartsWith("local try 1 of attempt 1, made by the agent on ", closed.ToldAfterwards, StringComparison.Ordinal);
        Assert.True(closed.Outcome.GpuHours > 0);
        Assert.Equal(IncidentState.NeedsHuman, Afterwards(again: 2.5).State);
    }

    /// <summary>A rank ends at step 12, its agent launches it again from step 10, and all of that is told at once.</summary>
    private static Incident Afterwards(double again, double factor = 1)
    {
        var running = new RunningStage();
        var at = running.Now.At;
        var ended = new RankStatus(0, 7, RankState.Exited, running.Stage.Attempt, 12, "", TimeSpan.Zero, 1, "ValueError", 0)
        {
            LastLines = ["ValueError"],
        };
        var restart = new LocalRestart(running.Node, at, running.Stage.Attempt, 1, ended, TimeSpan.FromSeconds(12), "nobody answers");
        var made = new CheckpointMade(
            10, "a", 1, "d", 1, 2, "", TimeSpan.Zero, TimeSpan.Zero, at.AddSeconds(-3), running.Stage.Attempt, false);
        StepTold Told(long step, double loss, double after) => new(running.Stage.Attempt, step, loss, at.AddSeconds(after));
        var seen = running.Observe(running.Now) with
        {
            TimeFactor = factor,
            News = News.None with { LocalRestarts = [restart], Checkpoints = [made] },
            Losses = [Told(11, 2, -2), Told(12, 1.9, -1), Told(11, again, 4), Told(12, 1.9, 5), Told(13, 1.8, 6), Told(14, 1.8, 7),
                Told(15, 1.7, 8)],
        };
        var decision = StagePlanner.Decide(running.Stage, seen, at.AddSeconds(9));
        Assert.Equal(["ValueError"], decision.Keep!.Ranks[0].Lines);
        Assert.Equal("first to fail", decision.Keep.Ranks[0].Role);
        return decision.Next.NewestIncident!;
    }

    [Fact]
    public void Evidence_takes_in_what_the_cluster_knows_of_pods_on_its_nodes_and_is_bounded()
    {
        var evidence = new Evidence(Stage, 1, 1, Began, "", [], [new NodeEvidence("node-0", "ready", "", 1, null)], null, null);
        string log = string.Join('\n', Enumerable.Range(0, 1000).Select(i => $"line {i}"));
        PodEvidence Pod(string node) =>
            new(new GangId(Stage, 1), new NodeId(node), $"pod-{node}", 137, "OOMKilled", log, ["Killing"], Began);
        var pod = Assert.Single(evidence.With([Pod("node-0"), Pod("node-9")]).Pods);
        Assert.Equal(("pod-node-0", 137, "OOMKilled", Evidence.LinesKept, "line 999"),
            (pod.Pod, pod.ExitCode, pod.Reason, pod.Lines.Length, pod.Lines[^1]));
    }

    [Fact]
    public void Another_loss_at_a_step_that_is_made_again_needs_a_person()
    {
        var verifying = IncidentMachine.Began(Failed(null, new Random(1), 0), 11, [], Began.AddSeconds(20));
        var other = IncidentMachine.Verify(verifying, [new(11, 2.1)], 11, Began.AddSeconds(21));
        Assert.Equal(IncidentState.NeedsHuman, other.State);
        Assert.Contains("the loss of step 11 is 2.1, and was 2 before the failure", other.Sentence, StringComparison.Ordinal);
        Assert.Equal(IncidentState.Verifying, IncidentMachine.Verify(verifying, [new(11, 2)], 14, Began.AddSeconds(22)).State);
        Assert.Equal(IncidentState.Closed, IncidentMachine.Verify(verifying, [new(11, 2.0000001)], 15, Began.AddSeconds(22)).State);
    }

    [Fact]
    public void Evidence_of_each_failed_attempt_is_kept_before_it_is_launched_again_or_ended() =>
        Gen.Enum<Happening>().Array[10, 120].Sample(happenings =>
        {
            var world = new StageWorld(nodes: 2, slots: 2);
            foreach (var happening in happenings.SelectMany(h => new[] { h, Happening.Tick, Happening.Beat }))
            {
                world.Apply(happening);
                Assert.All(world.Stage.NewestIncident?.FailedAttempts ?? [], a => Assert.Contains(world.Kept, e => e.Attempt == a));
                Assert.True(world.Stage.NewestIncident is null or { Steps.Length: <= Incident.StepsMax });
            }

            Assert.All(world.Kept, e => Assert.InRange(e.Ranks.Length, 0, 1 + Evidence.WaitingKept));
            Assert.All(world.Kept.SelectMany(e => e.Ranks), r => Assert.InRange(r.Lines.Length, 0, Evidence.LinesKept));
        }, iter: Lives.Of(100));

    [Fact]
    public void A_stage_that_has_ended_has_no_open_incident() => Gen.Enum<Happening>().Array[10, 120].Sample(happenings =>
    {
        var world = new StageWorld();
        foreach (var happening in happenings.SelectMany(h => new[] { h, Happening.Tick }))
        {
            world.Apply(happening);
            Assert.False(world.Stage is { Phase.Terminal: true, NewestIncident.Open: true });
        }
    }, iter: Lives.Of(100));

    [Fact]
    public void Of_two_accounts_of_last_words_each_line_is_kept_once_and_the_end_is_the_agents() =>
        Gen.Select(Gen.Int[0, 300], Gen.Int[0, 64], Gen.Int[0, 64]).Sample((printed, told, late) =>
        {
            ImmutableArray<string> all = [.. Enumerable.Range(0, printed).Select(i => $"line {i}")];
            ImmutableArray<string> log = [.. all.Take(printed - late)], agent = [.. all.TakeLast(told)];
            var kept = LastWords.Of(log, agent);
            string[] known = [.. log.Concat(agent).Distinct()];
            Assert.Equal(known.TakeLast(Evidence.LinesKept), kept);
        });

    private static void Until(StageWorld world, Func<StageWorld, bool> reached)
    {
        for (int turn = 0; turn < 2_000 && !reached(world); turn++)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        Assert.True(reached(world));
    }

    private static Incident Slow() => IncidentMachine.Tell(new Incident(Stage, 1, IncidentState.Diagnosed, Began, "", 4, []),
        new Diagnosis(Began, SlowRank.Cause, "rank 2 is slow", "", "", "", 2, "node-1", 1, 12, []),
        new IncidentDecision(Began, "it is reported, and the gang trains on", "advice", 12, []), Began.AddSeconds(-30), []);

    private static Incident Failed(Incident? open, Random random, int attempt)
    {
        var failure = new Failure(FailureCause.RankExited, "rank 0 exited", "", new NodeId("node-0"), false, attempt, 12, Began, Began);
        var diagnosis = new Diagnosis(Began, "rank exited", "rank 0 exited", "killed", "", "", 0, "node-0", attempt, 12, []);
        return IncidentMachine.Diagnose(open, () => new Incident(Stage, 1, IncidentState.Diagnosed, Began, "", 4, []), failure, diagnosis,
            new IncidentDecision(Began, "restarting in place", "in place", 10, []), [new(9, 3), new(11, 2), new(12, 1.9)],
            random.Next(5) == 0 ? "nothing helps" : null);
    }
}
