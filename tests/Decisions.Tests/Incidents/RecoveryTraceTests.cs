using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Incidents;

/// <summary>What control plane, agents and ranks did for a recovery, as one trace of bounded size.</summary>
public sealed class RecoveryTraceTests
{
    private const string Trace = "0af7651916cd43dd8448eb211c80319c";

    private static readonly StageId Stage = new("a", "pretrain");
    private static readonly DateTimeOffset Failed = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);
    private static readonly Instant Heard = Instant.OfOneClock(Failed.AddSeconds(7));

    [Fact]
    public void Every_part_is_of_one_trace_and_has_its_time_by_our_clock_and_its_parent_before_it()
    {
        var gang = Gang(2, 2);
        var incident = Whole(gang, [.. gang.Nodes.Select((node, at) => Agent(node, at * 2, 2))]);
        var spans = RecoveryTrace.Of(incident);
        Assert.Equal(("recovery", "", Failed, TimeSpan.FromSeconds(7)), (spans[0].Name, spans[0].Parent, spans[0].Began, spans[0].Took));
        Assert.Equal(spans.Length, spans.Select(s => s.Id).Distinct().Count());
        Assert.All(spans.Index().Skip(1), s => Assert.Contains(spans[..s.Index], above => above.Id == s.Item.Parent));
        Assert.All(spans, s => Assert.True(s.Began >= Failed && s.Began + s.Took <= Failed.AddSeconds(7)));

        var launch = Assert.Single(spans, s => s.Name == "launch");
        Assert.Equal($"00-{Trace}-{launch.Id}-01", RecoveryTrace.Traceparent(incident, 2));
        var agent = Assert.Single(spans, s => s.Name == "agent on node-1");
        Assert.Equal((launch.Id, SpanOf(1), "node-1", null), (agent.Parent, agent.Id, agent.Node, agent.Rank));
        var rank = Assert.Single(spans, s => s.Name == "rank 3");
        Assert.Equal((agent.Id, "node-1", 3), (rank.Parent, rank.Node, rank.Rank));
        // Told to have begun 3 s before it was heard, at 08:00:07.
        var restore = Assert.Single(spans, s => s.Parent == rank.Id && s.Name == "restore");
        Assert.Equal((Failed.AddSeconds(4), TimeSpan.FromSeconds(1)), (restore.Began, restore.Took));
    }

    [Fact]
    public void Of_thousands_of_ranks_the_one_that_failed_the_slowest_and_a_sum_are_kept()
    {
        var gang = Gang(256, 8);
        var agents = gang.Nodes.Select((node, at) => Agent(node, at * 8, 8, r => r == 1_500 ? 2.5 : 1)).ToList();
        var launch = Whole(gang, agents, failed: 77).Launch!;
        var ranks = launch.Shares.Where(s => s.Rank is not null).ToList();
        Assert.Equal(LaunchAccount.RanksKept, ranks.Count);
        Assert.Contains(ranks, s => s.Rank == 77);
        Assert.Contains(ranks, s => s.Rank == 1_500);
        Assert.All(ranks, s => Assert.Contains(launch.Shares, agent => agent.Rank is null && agent.Node == s.Node));
        var spread = Assert.Single(launch.Spreads, s => s.What == "restore");
        Assert.Equal((2_048, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2.5), 1_500),
            (spread.Ranks, spread.Median, spread.Longest, spread.Rank));
        Assert.Equal(["restore", "first step"], launch.Spreads.Select(s => s.What));
        Assert.InRange(RecoveryTrace.Of(Whole(gang, agents, failed: 77)).Length, 20, 60);
    }

    /// <summary>Whatever agents say, a record and a trace stay small, within the recovery's time, and without a knot.</summary>
    [Fact]
    public void What_is_forged_or_of_another_trace_is_no_part_of_it()
    {
        var gang = Gang(2, 1);
        var (one, two) = (gang.Nodes[0], gang.Nodes[1]);
        Assert.Null(Whole(gang, [Agent(one, 0, 1, trace: Trace.Replace('0', '1'))]).Launch);
        Assert.Null(Whole(gang, [Agent(one, 0, 1, attempt: 1)]).Launch);
        Assert.Null(Whole(gang, [Agent(one, 0, 1) with { Launch = null }]).Launch);

        var told = Agent(one, 0, 1).Launch!.Told;
        var years = TimeSpan.FromDays(3_000);
        var forged = told with
        {
            Span = RecoveryTrace.WholeOf(Incident(0)),
            Ago = years,
            Took = years,
            Parts = [.. Enumerable.Range(0, 500).Select(i => new LaunchPart(0, $"part {i}", years, years)), new LaunchPart(1, "restore",
                TimeSpan.Zero, years)],
        };
        var agents = new[]
        {
            Agent(one, 0, 1) with { Launch = new LaunchHeard(forged, Heard) },
            Agent(two, 1, 1) with { Launch = new LaunchHeard(told with { Span = forged.Span, Parts = [] }, Heard) },
        };
        var incident = Whole(gang, agents);
        var spans = RecoveryTrace.Of(incident);
        Assert.Equal(spans.Length, spans.Select(s => s.Id).Distinct().Count());
        Assert.All(spans.Index().Skip(1), s => Assert.Contains(spans[..s.Index], above => above.Id == s.Item.Parent));
        Assert.All(spans, s => Assert.True(s.Began >= Failed && s.Began + s.Took <= Heard.At));
        // A rank of another node is none of this agent's to tell of.
        Assert.Equal([0], incident.Launch!.Shares.Select(s => s.Rank).OfType<int>());
        Assert.True(incident.Launch.Shares.Sum(s => s.Parts.Length) <= LaunchAccount.PartsKept);
        Assert.True(incident.Launch.Spreads.Length <= LaunchAccount.SpreadsKept);
    }

    [Fact]
    public void Who_has_still_to_tell_is_waited_for_unless_nobody_tells_anything()
    {
        var gang = Gang(2, 2);
        var (one, two) = (Agent(gang.Nodes[0], 0, 2), Agent(gang.Nodes[1], 2, 2));
        Assert.True(LaunchAccount.Waits(Incident(0), gang, 2, [one]));
        Assert.True(LaunchAccount.Waits(Incident(0), gang, 2, [one, Agent(gang.Nodes[1], 2, 1)]));
        Assert.False(LaunchAccount.Waits(Incident(0), gang, 2, [one, two]));
        // Agents of an older version.
        Assert.False(LaunchAccount.Waits(Incident(0), gang, 2, [one with { Launch = null }, two with { Launch = null }]));
    }

    [Fact]
    public void What_fails_again_before_a_step_is_one_recovery_and_after_one_another()
    {
        var first = Diagnose(null, 1, 0);
        Assert.Matches("^[0-9a-f]{32}$", first.TraceId);
        var second = Diagnose(first, 2, 9);
        Assert.Equal(first.TraceId, second.TraceId);
        Assert.NotEqual(RecoveryTrace.Traceparent(first, 2), RecoveryTrace.Traceparent(second, 3));
        var back = IncidentMachine.Began(second, 6, [], Failed.AddSeconds(20));
        Assert.NotNull(back.LaunchDue);
        Assert.NotEqual(first.TraceId, Diagnose(back, 3, 30).TraceId);
        Assert.Empty(RecoveryTrace.Of(first));
    }

    private static Incident Diagnose(Incident? open, int attempt, double after)
    {
        var at = Failed.AddSeconds(after);
        var failure = new Failure(FailureCause.RankExited, "rank 0 ended", "", new NodeId("node-0"), false, attempt, 5, at, at);
        return IncidentMachine.Diagnose(
            open, () => new Incident(Stage, 1, IncidentState.Diagnosed, at, "", 4, []), failure, Incident(0).Diagnosis!,
            new IncidentDecision(at, "launched again", "in place", 4, []), [], null);
    }

    private static Incident Whole(GangGrant gang, IEnumerable<AgentVitals> agents, int failed = 0)
    {
        var incident = Incident(failed);
        return incident with { Launch = LaunchAccount.Fold(incident, gang, 2, agents) };
    }

    private static Incident Incident(int failed) => new(Stage, 1, IncidentState.Verifying, Failed, "", 4, [])
    {
        TraceId = Trace,
        HappenedAt = Failed,
        Diagnosis = new Diagnosis(Failed.AddSeconds(1), "rank exited", "", "", "", "", failed, "node-0", 1, 5, []),
        Decision = new IncidentDecision(Failed.AddSeconds(1), "launched again", "in place", 5, []),
        Outcome = new IncidentOutcome(Failed.AddSeconds(7), 6, null, null, 0, 0),
        Phases = [new("noticed", TimeSpan.FromSeconds(1)), new("ended and placed", TimeSpan.FromSeconds(6))],
    };

    private static GangGrant Gang(int nodes, int slots) =>
        new(Stage, 1, [.. Enumerable.Range(0, nodes).Select(n => new NodeId($"node-{n}"))], slots, Failed);

    private static string SpanOf(int node) => $"{node + 1:x16}";

    private static AgentVitals Agent(
        NodeId node, int first, int ranks, Func<int, double>? restore = null, string trace = Trace, int attempt = 2)
    {
        var parts = Enumerable.Range(first, ranks).SelectMany(r => new[]
        {
            new LaunchPart(r, "restore", TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(restore?.Invoke(r) ?? 1)),
            new LaunchPart(r, LaunchAccount.FirstStep, TimeSpan.FromSeconds(0.4), TimeSpan.FromSeconds(0.3)),
        });
        var told = new LaunchTold(
            attempt, trace, SpanOf(int.Parse(node.Name.AsSpan(5), System.Globalization.CultureInfo.InvariantCulture)),
            TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5),
            [new LaunchPart(null, "end what is left", TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(0.5)), .. parts]);
        return new AgentVitals(node, $"{node}-1", 1, attempt, Heard, 1, [], ImmutableDictionary<string, double>.Empty)
        {
            Beaten = true,
            Launch = new LaunchHeard(told, Heard),
        };
    }
}
