using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tracing;
using DeepSeekOps.Recipes.Pipelining;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>A recording that a person asks for: who is told, what is waited for, and how it ends where it cannot be.</summary>
public sealed class StageTracingTests
{
    private static readonly TimeSpan Within = TimeSpan.FromMinutes(1);
    private readonly StageWorld world = new(nodes: 2, slots: 2);
    private readonly StageEngine engine;
    private readonly Stage stage;
    private int sequence;

    public StageTracingTests()
    {
        while (world.Stage.Phase is not Phase.Running || world.Vitals.Latest is null)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        stage = world.Stage;
        engine = new StageEngine(stage, world.Seen);
    }

    [Fact]
    public void All_agents_are_told_until_every_rank_has_told_its_sums_and_those_that_are_drawn_their_spans()
    {
        var view = engine.Record(2, Within, world.Seen)!;
        Assert.Equal(TraceState.Recording, view.State);
        var order = Beat(0).Trace!;
        Assert.Equal((view.Id, stage.Attempt, 2), (order.Id, order.Attempt, order.Steps));
        Assert.Equal(order.Id, Beat(1).Trace!.Id);
        Beat(0, Sums(order, 0), Sums(order, 1));
        Beat(1, Sums(order, 2));
        Assert.Contains("3 of 4 ranks", engine.Recording(world.Seen)!.Reason, StringComparison.Ordinal);
        Beat(1, Sums(order, 3));
        Assert.Null(engine.TraceToKeep);
        Beat(0, Whole(order, 0), Whole(order, 1));
        // What is told once more takes nothing back.
        Beat(0, Sums(order, 0));
        Beat(1, Whole(order, 2), Whole(order, 3));
        var trace = engine.TraceToKeep!;
        Assert.Equal([0, 1, 2, 3], trace.Drawn.Select(r => r.Rank));
        Assert.All(trace.Drawn, r => Assert.NotNull(r.Spans));
        Assert.Null(Beat(0).Trace);
        engine.TraceKept(trace.Id);
        Assert.Equal((trace.Id, TraceState.Kept), (engine.Recording(world.Seen)!.Id, engine.Recording(world.Seen)!.State));
    }

    [Fact]
    public void While_one_is_under_way_whoever_asks_gets_it_and_afterwards_a_new_one_with_a_later_id()
    {
        var first = engine.Record(2, Within, world.Seen)!;
        Assert.Equal(first, engine.Record(5, Within, world.Seen));
        var late = Instant.OfOneClock(world.Now + Within + TimeSpan.FromSeconds(1));
        Assert.Equal(TraceState.Failed, engine.Recording(late)!.State);
        // The same millisecond may come twice: a clock is set back.
        Assert.True(engine.Record(5, Within, world.Seen)!.Id > first.Id);
    }

    [Fact]
    public void Ranks_that_tell_nothing_in_time_are_named_and_nobody_is_asked_any_longer()
    {
        engine.Record(2, Within, world.Seen);
        var order = Beat(0).Trace!;
        Beat(0, Sums(order, 0), Sums(order, 1));
        var view = engine.Recording(Instant.OfOneClock(world.Now + Within + TimeSpan.FromSeconds(1)))!;
        Assert.Equal(TraceState.Failed, view.State);
        Assert.Contains("rank 2 on node-1, rank 3 on node-1", view.Reason, StringComparison.Ordinal);
        Assert.Contains("--within", view.Reason, StringComparison.Ordinal);
        Assert.Null(Beat(0).Trace);
    }

    [Fact]
    public void Spans_that_do_not_come_in_time_cost_the_drawing_and_not_the_sums()
    {
        engine.Record(2, Within, world.Seen);
        var order = Beat(0).Trace!;
        Beat(0, Whole(order, 0), Whole(order, 1));
        Beat(1, Sums(order, 2), Sums(order, 3));
        Assert.Null(engine.TraceToKeep);
        engine.Recording(Instant.OfOneClock(world.Now + Within + TimeSpan.FromSeconds(1)));
        Assert.Equal([true, true, false, false], engine.TraceToKeep!.Drawn.Select(r => r.Spans is not null));
    }

    [Fact]
    public void A_stage_that_is_launched_again_says_why_nothing_was_recorded()
    {
        engine.Record(2, Within, world.Seen);
        while (world.Stage.Attempt == stage.Attempt)
        {
            world.Apply(Happening.Crash);
            world.Apply(Happening.Beat);
            world.Apply(Happening.Tick);
        }

        var wish = world.Stage;
        foreach (var effect in engine.Want(wish.Wish with { Round = wish.Wish.Round + 1 }))
        {
            ((StageEffect.Write)effect).Superseded(wish);
        }

        var view = engine.Recording(world.Seen)!;
        Assert.Equal(TraceState.Failed, view.State);
        Assert.Contains($"before attempt {stage.Attempt} had recorded 2 steps", view.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stage_that_makes_no_steps_is_asked_for_none()
    {
        var waiting = new StageWorld();
        var idle = new StageEngine(waiting.Stage, waiting.Seen);
        var view = idle.Record(2, Within, waiting.Seen)!;
        Assert.Equal((0, TraceState.Failed), (view.Id, view.State));
        Assert.Contains("makes no steps", view.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_of_the_stage_changes_by_it()
    {
        string before = System.Text.Json.JsonSerializer.Serialize(engine.Stage);
        engine.Record(2, Within, world.Seen);
        var order = Beat(0).Trace!;
        Beat(0, Whole(order, 0), Whole(order, 1));
        Beat(1, Whole(order, 2), Whole(order, 3));
        Assert.NotNull(engine.TraceToKeep);
        Assert.Equal(before, System.Text.Json.JsonSerializer.Serialize(engine.Stage));
    }

    private WorkerReply Beat(int node, params RankTrace[] traces)
    {
        var ranks = Enumerable.Range(node * 2, 2).Select(rank =>
            new RankStatus(rank, 1, RankState.Training, stage.Attempt, 3, "", TimeSpan.Zero, null, "", 3)).ToImmutableArray();
        return engine.Heartbeat(new AgentBeat(
            new NodeId($"node-{node}"), $"agent-{node}", stage.Id, stage.Attempt, ++sequence, ranks, [], [], [], [],
            ImmutableDictionary<string, double>.Empty, [], [])
        {
            Traces = [.. traces],
        }, world.Seen, beat => beat.Sequence).Reply;
    }

    private static RankTrace Sums(TraceOrder order, int rank) => new(
        order.Id, order.Attempt, rank, "one", [new RankStep(4, 0, 10, 0, 10, 5, 1, 0, 1), new RankStep(5, 10, 20, 10, 20, 5, 1, 0, 1)],
        [0, 10, 20]);

    private static RankTrace Whole(TraceOrder order, int rank) =>
        Sums(order, rank) with { Spans = new RankSpans(0, ["step: step 4"], [0], [0], [10], 0) };
}
