using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recovery;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Recovery;

public sealed class ShrinkingTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);
    private static readonly ShrunkLayout Dropped = new(128, 256, ShrinkWay.FewerReplicas, 64, 1, 2, 0.5, ByPlan: true);
    private static readonly ShrunkLayout Dealt = new(255, 256, ShrinkWay.ExpertsDealtUnevenly, 64, 2, 2, 0.94, ByPlan: true);
    private static readonly ShrinkQuestion Question =
        new(2048, [Dealt, Dropped], DealsUnevenly: true, TimeSpan.FromHours(24), "the plan's time for a repair", TimeSpan.FromMinutes(5));

    [Fact]
    public void The_cheaper_way_is_taken_and_each_is_priced()
    {
        var answer = Assert.IsType<ShrinkAnswer.GoOn>(Shrinking.Decide(Question));
        Assert.Equal(Dealt, answer.Layout);
        // 2,048 GPUs for 24 h; 6 % of them and five minutes; half of them and five minutes.
        Assert.Contains("waiting for the node costs 49,152 GPU-h (1 d, the plan's time for a repair)", answer.Reason,
            StringComparison.Ordinal);
        Assert.Contains("(94 % of its rate, by the plan, simulated) costs 3,119.79 GPU-h", answer.Reason, StringComparison.Ordinal);
        Assert.Contains("128 of 256 nodes, 1 of 2 replicas (50 % of its rate, by the plan) costs 24,746.67 GPU-h", answer.Reason,
            StringComparison.Ordinal);
    }

    [Fact]
    public void What_no_worker_can_train_is_priced_and_never_chosen_on_real_machines()
    {
        var answer = Assert.IsType<ShrinkAnswer.GoOn>(Shrinking.Decide(Question with { DealsUnevenly = false }));
        Assert.Equal(Dropped, answer.Layout);
        Assert.Contains("simulated) costs 3,119.79 GPU-h, but no worker of ours trains with shares of experts that differ in size",
            answer.Reason, StringComparison.Ordinal);
        Assert.IsType<ShrinkAnswer.Wait>(Shrinking.Decide(Question with { DealsUnevenly = false, Ways = [Dealt] }));
    }

    [Fact]
    public void A_node_that_is_soon_back_is_waited_for()
    {
        // Going on at half the pace for 8 min and a launch of 5 min cost 9 min of all GPUs.
        var soon = Question with { DealsUnevenly = false, Return = TimeSpan.FromMinutes(8), ReturnBasis = "maintenance ends" };
        var answer = Assert.IsType<ShrinkAnswer.Wait>(Shrinking.Decide(soon));
        Assert.Contains("waiting for the node costs 273.07 GPU-h (8 min, maintenance ends)", answer.Reason, StringComparison.Ordinal);
        Assert.Contains("costs 307.2 GPU-h", answer.Reason, StringComparison.Ordinal);
        Assert.IsType<ShrinkAnswer.GoOn>(Shrinking.Decide(soon with { Return = TimeSpan.FromMinutes(12) }));
    }

    [Fact]
    public void A_gang_grows_once_room_has_lasted_and_never_for_a_node_that_comes_and_goes()
    {
        var question = new GrowQuestion(Dropped, null, Room: true, TimeSpan.FromHours(100), TimeSpan.FromMinutes(5), Shrinks: 1,
            TimeSpan.FromSeconds(30));
        var first = Growing.Decide(question, Now);
        Assert.Equal((false, Now), (first.Grow, first.RoomSince));
        var seen = question with { RoomSince = first.RoomSince };
        Assert.False(Growing.Decide(seen, Now.AddSeconds(29)).Grow);
        Assert.Null(Growing.Decide(seen with { Room = false }, Now.AddSeconds(29)).RoomSince);
        Assert.True(Growing.Decide(seen, Now.AddSeconds(30)).Grow);
        // The third loss within the hour: four times as long; and never for ever.
        Assert.False(Growing.Decide(seen with { Shrinks = 3 }, Now.AddSeconds(119)).Grow);
        Assert.True(Growing.Decide(seen with { Shrinks = 3 }, Now.AddSeconds(120)).Grow);
        Assert.True(Growing.Decide(seen with { Shrinks = 1000 }, Now.AddMinutes(32)).Grow);
        // A clock that is set back begins the wait anew, and does not make it longer.
        Assert.Equal(Now.AddHours(-1), Growing.Decide(seen, Now.AddHours(-1)).RoomSince);
    }

    [Fact]
    public void The_last_minutes_of_a_stage_are_not_spent_on_another_launch()
    {
        var question = new GrowQuestion(Dropped, Now.AddHours(-1), Room: true, TimeSpan.FromMinutes(9), TimeSpan.FromMinutes(5), 1,
            TimeSpan.FromSeconds(30));
        var answer = Growing.Decide(question, Now);
        Assert.False(answer.Grow);
        Assert.Contains("would gain less than the 5 min of another launch", answer.Reason, StringComparison.Ordinal);
        Assert.True(Growing.Decide(question with { Left = TimeSpan.FromMinutes(11) }, Now).Grow);
    }
}
