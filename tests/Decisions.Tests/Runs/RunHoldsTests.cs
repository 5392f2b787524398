using System.Collections.Immutable;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Runs;

public sealed class RunHoldsTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly HandAsked Whole = new("", 0, "ann", "looks at it");
    private static readonly HandAsked First = new("pretrain", 1, "ann", "looks at it");

    [Fact]
    public void A_hold_goes_with_each_wish_until_anybody_releases_it()
    {
        var (run, reports) = Trains();
        var held = Taken(RunHolds.Hold(run, Whole, reports, Now));
        var wish = Assert.Single(RunPlanner.Decide(held, reports, Now).Wishes);
        Assert.True(wish.Held!.StandsFor("pretrain", Now));
        Assert.Contains("by ann until released: looks at it", held.Outbox[^1].Text, StringComparison.Ordinal);
        var refused = Assert.IsType<CommandDecision.Refuse>(RunHolds.Hold(held, Whole with { By = "bob" }, reports, Now));
        Assert.Contains("held by ann since", refused.Reason, StringComparison.Ordinal);
        var free = Taken(RunHolds.Release(held, Whole with { By = "bob" }, Now));
        Assert.Contains("automation is released by bob", free.Outbox[^1].Text, StringComparison.Ordinal);
        Assert.False(RunPlanner.Decide(free, reports, Now).Wishes[0].Held!.Stands(Now));
        Assert.IsType<CommandDecision.Refuse>(RunHolds.Release(free, Whole, Now));
    }

    [Fact]
    public void A_hold_ends_by_itself_with_its_time_its_incident_or_its_stage()
    {
        var (run, reports) = Trains(IncidentState.Acting);
        var timed = Taken(RunHolds.Hold(run, Whole with { For = TimeSpan.FromHours(2) }, reports, Now));
        Assert.Null(RunHolds.Ended(timed, reports, Now.AddMinutes(119)));
        Assert.Contains("its time is over", RunPlanner.Decide(timed, reports, Now.AddHours(2)).Next.Outbox[^1].Text,
            StringComparison.Ordinal);
        var one = Taken(RunHolds.Hold(run, First, reports, Now));
        Assert.Null(RunHolds.Ended(one, reports, Now));
        Assert.Contains("incident 1 is over", RunHolds.Ended(one, Trains(IncidentState.Closed).Reports, Now)!.Next.Outbox[^1].Text,
            StringComparison.Ordinal);
        Assert.NotNull(RunHolds.Ended(one with { Current = 1 }, reports, Now));
        var taken = Taken(RunHolds.Take(run, First, reports, Now));
        Assert.Null(RunHolds.Ended(taken, Trains(IncidentState.NeedsHuman).Reports, Now));
    }

    [Fact]
    public void What_has_no_act_to_come_is_refused_with_what_to_do_instead()
    {
        var (run, closed) = Trains(IncidentState.Closed);
        Assert.Contains("is closed", Refused(RunHolds.Take(run, First, closed, Now)), StringComparison.Ordinal);
        Assert.Contains("is not its newest", Refused(RunHolds.Hold(run, First with { Incident = 2 }, closed, Now)),
            StringComparison.Ordinal);
        Assert.Contains("cannot be taken back: because", Refused(RunHolds.Undo(run, First, closed, Now)), StringComparison.Ordinal);
        Assert.Contains("--from STEP", Refused(RunHolds.Undo(run, First with { Incident = 7 }, closed, Now)), StringComparison.Ordinal);
        var over = run with { Phase = new RunPhase.Failed(Now) };
        Assert.Contains("`dsops retry mini`", Refused(RunHolds.Hold(over, Whole, closed, Now)), StringComparison.Ordinal);
        var held = Taken(RunHolds.Hold(run, Whole, closed, Now)) with { Phase = new RunPhase.Failed(Now) };
        Assert.Null(Taken(RunCommands.Retry(held, "", null, closed, Now)).Held);
    }

    private static Run Taken(CommandDecision decision) => Assert.IsType<CommandDecision.Take>(decision).Next;

    private static string Refused(CommandDecision decision) => Assert.IsType<CommandDecision.Refuse>(decision).Reason;

    private static (Run Run, ImmutableArray<StageReport?> Reports) Trains(IncidentState state = IncidentState.Acting)
    {
        var world = new RunWorld(new Random(1));
        for (int tick = 0; tick < 50 && world.Reports[0] is null; tick++)
        {
            world.Tick();
        }

        var report = world.Reports[0]! with
        {
            Phase = new Phase.Queued(Now),
            Incident = new IncidentReport(1, state, "", new UndoAnswer(false, "because")),
        };
        return (world.Run with { Phase = new RunPhase.Queued(), Current = 0 }, world.Reports.SetItem(0, report));
    }
}
