using CsCheck;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.Contracts.Ops.V1;
using Google.Protobuf.WellKnownTypes;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class EventFoldTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 8, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Checkpoints_that_follow_each_other_are_one_line()
    {
        Event[] events = [Of(0, "started"), .. Enumerable.Range(1, 27).Select(second => Of(second, "checkpoint")), Of(28, "rank-exited"),
            Of(29, "checkpoint")];
        var folded = EventFold.Of(events).ToArray();
        Assert.Equal(["started", "checkpoint", "rank-exited", "checkpoint"], folded.Select(item => item.Kind));
        Assert.StartsWith("27 checkpoints in 26 s, all durable; the newest: checkpoint at 27", folded[1].Text, StringComparison.Ordinal);
        Assert.Equal("checkpoint at 29", folded[3].Text);
    }

    [Fact]
    public void Checkpoints_that_came_with_one_message_came_at_once()
    {
        Assert.StartsWith("2 checkpoints at once, all durable;", EventFold.One([Of(5, "checkpoint"), Of(5, "checkpoint")]).Text,
            StringComparison.Ordinal);
    }

    [Fact]
    public void The_newest_is_that_of_the_highest_step_in_whatever_order_they_were_told()
    {
        Event[] events = [.. new[] { 20, 60, 40 }.Select((step, second) => Of(second, "checkpoint"))];
        foreach (var (item, step) in events.Zip([20, 60, 40]))
        {
            (item.Step, item.Text) = (step, $"step {step}");
        }

        var one = Assert.Single(EventFold.Of(events));
        Assert.EndsWith("the newest: step 60", one.Text, StringComparison.Ordinal);
        Assert.Equal((60, Start.AddSeconds(2)), (one.Step, one.At.ToDateTimeOffset()));
    }

    [Fact]
    public void A_refused_checkpoint_is_never_folded()
    {
        var refused = Of(2, "checkpoint");
        refused.Level = "warning";
        Assert.Equal(3, EventFold.Of([Of(1, "checkpoint"), refused, Of(3, "checkpoint")]).Count());
    }

    [Fact]
    public void Nothing_but_checkpoints_is_ever_left_out_and_the_order_stays() =>
        Gen.Select(Gen.OneOf(Gen.Const("checkpoint"), Gen.Const("started"), Gen.Const("note")),
            Gen.OneOf(Gen.Const("a"), Gen.Const("b"))).Array[0, 40].Sample(kinds =>
        {
            Event[] events = [.. kinds.Select((kind, second) => Of(second, kind.Item1, kind.Item2))];
            var live = new LiveFold();
            foreach (var folded in new[] { EventFold.Of(events).ToArray(), [.. events.SelectMany(live.Take)] })
            {
                Assert.Equal(events.Where(e => e.Kind != "checkpoint"), folded.Where(e => e.Kind != "checkpoint"));
            }
        });

    [Fact]
    public void While_it_grows_a_stage_prints_one_line_of_checkpoints_a_minute_and_the_rest_before_the_next_event()
    {
        var live = new LiveFold();
        var printed = Enumerable.Range(0, 150).SelectMany(second => live.Take(Of(second, "checkpoint"))).ToArray();
        Assert.Equal([0.0, 60.0, 120.0], printed.Select(item => (item.At.ToDateTimeOffset() - Start).TotalSeconds));
        Assert.StartsWith("60 checkpoints", printed[1].Text, StringComparison.Ordinal);
        var last = live.Take(Of(151, "rank-exited")).ToArray();
        Assert.Equal(["checkpoint", "rank-exited"], last.Select(item => item.Kind));
    }

    private static Event Of(int second, string kind, string stage = "pretrain") => new()
    {
        Run = "mini", Stage = stage, Kind = kind, Level = "info", Text = $"{kind} at {second}",
        At = Timestamp.FromDateTimeOffset(Start.AddSeconds(second)),
    };
}
