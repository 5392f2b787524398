using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

public sealed class AgentFenceTests
{
    private static readonly DateTimeOffset Now = StageWorld.Epoch.AddHours(1);
    private static readonly Stage Stage = Running();
    private static readonly int Gang = Stage.Phase.GangOrNull!.Gang;
    private static readonly NodeId Node = Stage.Phase.GangOrNull!.Nodes[0];

    [Fact]
    public void A_second_agent_of_a_gang_is_not_heard_while_the_first_beats_and_is_once_it_is_silent()
    {
        var vitals = Known("first");
        Assert.Null(Refusal(vitals, "first", Gang, Gang, Now));
        Assert.Contains("has an agent already", Refusal(vitals, "second", Gang, Gang, Now.AddSeconds(1)), StringComparison.Ordinal);
        Assert.Null(Refusal(vitals, "second", Gang, Gang, Now + AgentFence.HeirAfter));
    }

    [Fact]
    public void The_agent_of_a_new_gang_takes_over_at_once_from_that_of_an_older_one()
    {
        var vitals = Vitals.Fresh(Instant.OfOneClock(Now))
            .Take(new AgentRegistration("", Node, "old", 1, Stage.Id, Gang - 1, []), Instant.OfOneClock(Now));
        Assert.Null(Refusal(vitals, "new", Gang, Gang, Now));
    }

    [Fact]
    public void An_agent_of_an_older_gang_does_not_speak_of_the_present_ones_attempts()
    {
        Assert.NotNull(Refusal(Vitals.Fresh(Instant.OfOneClock(Now)), "old", Gang, Gang - 1, Now));
        // What it still has to tell of its own is news.
        Assert.Null(Refusal(Vitals.Fresh(Instant.OfOneClock(Now)), "old", Gang - 1, Gang - 1, Now));
    }

    [Fact]
    public void Steps_that_the_stage_does_not_have_are_left_out_and_the_others_stay()
    {
        long last = Stage.Wish.Work.TotalSteps;
        var beat = Beat([last, last + 1, 1L << 62]);
        Assert.Equal([last], AgentFence.Within(beat, Stage.Watched).Samples.Select(s => s.Step));
        var honest = Beat([1, last]);
        Assert.Same(honest, AgentFence.Within(honest, Stage.Watched));
    }

    /// <summary>Steps of before the relaunch were still on their way when the first ones after it had been heard.</summary>
    [Fact]
    public void The_newest_sample_is_of_the_launch_that_trains_now_also_where_its_agent_went_back_by_itself()
    {
        var told = new[] { (100L, 0), (101L, 1), (51L, 20), (140L, 15), (52L, 21) };
        var seen = told.Aggregate(Known("first"), (vitals, t) => vitals.Take(
            At(t.Item1, Now.AddSeconds(t.Item2)), Stage.Watched, false, Instant.OfOneClock(Now.AddSeconds(30))));
        Assert.Equal(52, seen.Observe(Stage.Watched, null, Instant.OfOneClock(Now.AddSeconds(30))).Latest?.Step);
        // A clock that was set back hides no step.
        var ahead = seen.Take(At(53, Now.AddHours(-1)), Stage.Watched, false, Instant.OfOneClock(Now.AddSeconds(31)));
        Assert.Equal(53, ahead.Observe(Stage.Watched, null, Instant.OfOneClock(Now.AddSeconds(31))).Latest?.Step);
    }

    private static AgentBeat At(long step, DateTimeOffset at) =>
        Beat([step]) with { Samples = [.. Beat([step]).Samples.Select(s => s with { At = at })] };

    private static Vitals Known(string agent) =>
        Vitals.Fresh(Instant.OfOneClock(Now)).Take(new AgentRegistration("", Node, agent, 1, Stage.Id, Gang, []), Instant.OfOneClock(Now));

    private static string? Refusal(Vitals vitals, string agent, int attempt, int gang, DateTimeOffset now) =>
        AgentFence.Refusal(vitals, Stage.Watched, Node, agent, attempt, gang, Instant.OfOneClock(now));

    private static AgentBeat Beat(IEnumerable<long> steps) => new(Node, "first", Stage.Id, Gang, 1, [],
        [.. steps.Select(step => new StepSample(step, Now, "", 1, 1, 1, step, 1, Gang, ImmutableDictionary<string, double>.Empty))], [], [],
        [],
        ImmutableDictionary<string, double>.Empty, [], []);

    private static Stage Running()
    {
        var world = new StageWorld();
        while (world.Stage.Phase is not Phase.Running)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        // As it is after two gangs were lost.
        var running = (Phase.Running)world.Stage.Phase;
        return world.Stage with { Attempt = 3, Phase = running with { Gang = running.Gang with { Gang = 3 } } };
    }
}
