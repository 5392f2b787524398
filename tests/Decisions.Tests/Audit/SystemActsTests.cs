using DeepSeekOps.Decisions.Audit;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Audit;

public sealed class SystemActsTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("rank-exited", "recovery")]
    [InlineData("placed", "scheduler")]
    [InlineData("preempted", "scheduler")]
    [InlineData("a-kind-that-comes-later", "recovery")]
    public void What_the_system_did_has_a_line_with_its_reason_also_where_nobody_thought_of_it(string kind, string who)
    {
        var act = SystemActs.Of(Event(kind, "pretrain"), simulated: false)!;
        Assert.Equal((who, "system", kind, "mini/pretrain attempt 2", "the reason"), (act.Who, act.By, act.Act, act.Target, act.Why));
        Assert.Equal("simulated: the reason", SystemActs.Of(Event(kind, "pretrain"), simulated: true)!.Why);
    }

    [Theory]
    [InlineData("checkpoint")]
    [InlineData("note")]
    [InlineData("loss-flagged")]
    public void What_was_only_seen_has_none(string kind) => Assert.Null(SystemActs.Of(Event(kind, "pretrain"), simulated: false));

    [Fact]
    public void Of_an_outbox_what_is_new_is_told_and_the_same_event_is_the_same_act()
    {
        var (first, second) = (Event("placed", "pretrain"), Event("stage-begun", ""));
        var acts = SystemActs.Of([first], [first, second], simulated: false);
        Assert.Equal("stage-begun", Assert.Single(acts).Act);
        Assert.Equal(acts[0].Id, SystemActs.Of(second with { }, simulated: false)!.Id);
        Assert.NotEqual(acts[0].Id, SystemActs.Of(second with { Text = "another" }, simulated: false)!.Id);
    }

    private static RunEvent Event(string kind, string stage) => new(At, "mini", stage, 2, kind, EventLevel.Info, "the reason");
}
