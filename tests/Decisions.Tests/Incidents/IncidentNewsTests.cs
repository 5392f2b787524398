using DeepSeekOps.Decisions.Incidents;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Incidents;

/// <summary>What is counted of an incident, each thing once.</summary>
public sealed class IncidentNewsTests
{
    private static readonly DateTimeOffset Began = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    private static readonly Incident Acting = new(new StageId("a", "pretrain"), 1, IncidentState.Acting, Began, "", 4, [])
    {
        HappenedAt = Began,
        Diagnosis = new Diagnosis(Began, "rank exited", "", "", "", "", 0, "node-0", 1, 5, []),
        Decision = new IncidentDecision(Began.AddSeconds(1), "launched again", "in place", 4, []),
    };

    [Fact]
    public void A_recovery_is_decided_comes_back_and_ends_once_each()
    {
        Assert.Equal([new IncidentNews.Decided("rank exited", "in place")], IncidentNews.Between(null, Acting));
        var back = IncidentMachine.Began(Acting, 5, [], Began.AddSeconds(7));
        Assert.Equal([new IncidentNews.Back("rank exited", "in place", TimeSpan.FromSeconds(7))], IncidentNews.Between(Acting, back));
        Assert.Empty(IncidentNews.Between(back, back with { Sentence = "other words" }));
        var closed = back with { State = IncidentState.Closed };
        Assert.Equal([new IncidentNews.Came("rank exited", IncidentState.Closed)], IncidentNews.Between(back, closed));
        Assert.Empty(IncidentNews.Between(closed, closed));
    }

    /// <summary>Between two looks a stage may begin the next one.</summary>
    [Fact]
    public void The_next_incident_is_counted_from_its_beginning()
    {
        var closed = Acting with { State = IncidentState.Closed };
        var second = Acting with { Number = 2, State = IncidentState.NeedsHuman };
        Assert.Equal(
            [new IncidentNews.Decided("rank exited", "in place"), new IncidentNews.Traced("rank exited", second),
                new IncidentNews.Came("rank exited", IncidentState.NeedsHuman)],
            IncidentNews.Between(closed, second));
    }

    /// <summary>Once it is whole; also where it is only seen afterwards that it was, or where the next failure came before.</summary>
    [Fact]
    public void A_recovery_is_traced_once_whatever_comes_between()
    {
        var acting = Acting with { TraceId = "0af7651916cd43dd8448eb211c80319c" };
        var back = IncidentMachine.Began(acting, 5, [], Began.AddSeconds(7));
        var whole = back with { LaunchDue = null };
        Assert.Equal([new IncidentNews.Traced("rank exited", whole)], IncidentNews.Between(back, whole));
        Assert.Empty(IncidentNews.Between(whole, whole with { State = IncidentState.Verifying, Sentence = "other words" }));
        Assert.Equal(["Back", "Traced"], IncidentNews.Between(acting, whole).Select(n => n.GetType().Name));
        var again = back with { Outcome = null, LaunchDue = null, TraceId = "1af7651916cd43dd8448eb211c80319c" };
        Assert.Equal([new IncidentNews.Traced("rank exited", back)], IncidentNews.Between(back, again));
        Assert.Contains(new IncidentNews.Traced("rank exited", back), IncidentNews.Between(back, again with { Number = 2 }));
        var taken = acting with { State = IncidentState.NeedsHuman, TakenBy = "ann" };
        Assert.DoesNotContain(IncidentNews.Between(acting, taken), n => n is IncidentNews.Traced);
    }

    [Fact]
    public void What_the_gang_trained_on_with_was_not_recovered_from()
    {
        var told = Acting with { State = IncidentState.Diagnosed, Decision = Acting.Decision! with { Rung = IncidentDecision.Advice } };
        var over = IncidentMachine.Over(told, "it is over", TimeSpan.Zero, "", 9, Began.AddMinutes(1));
        Assert.Equal([new IncidentNews.Came("rank exited", IncidentState.Closed)], IncidentNews.Between(told, over));
    }
}
