using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recovery;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// Turns what <see cref="Shrinking"/> and <see cref="Growing"/> say into the stage's own moves. A gang of another size is another gang: the
/// old one has ended for certain before it is asked for, so that no two of them ever train.
/// </summary>
internal static class StageShrinking
{
    /// <summary>Returns that are remembered, to expect the next by.</summary>
    private const int ReturnsKept = 16;

    /// <summary>Losses that are remembered; more within the hour double the wait no further.</summary>
    private const int LossesKept = 16;

    /// <summary>
    /// It trained before, or follows a stage that did: nobody watches it any more. Who submits a run for more nodes than there are is told
    /// so and decides; what was to run alone goes on.
    /// </summary>
    public static bool MayShrink(Stage stage) => MayShrinkOnceItTrains(stage)
        && (stage.Shrunk is not null || stage.Attempt > stage.Wish.Work.AttemptsBefore + 1
            || stage.Id.Stage != stage.Wish.Pipeline.Stages[0].Name);

    public static bool MayShrinkOnceItTrains(Stage stage) => stage.Policy.Shrink && stage.Wish.Work.Nodes > 1
        && stage.Wish.Pipeline.Stages.Any(s => s.Name == stage.Id.Stage);

    /// <summary>Nodes are missing: the stage goes on with fewer, or waits with what either costs.</summary>
    public static Decision Queued(Stage stage, PlacementDecision.Pending pending, DateTimeOffset now)
    {
        if (!MayShrink(stage) || StageHolding.Of(stage, now) is not null || pending.Room is not { } room || !Lacks(stage, pending, room))
        {
            return stage.Stay(pending.Reason);
        }

        var (answer, shrunk) = Weigh(stage, pending, room.Nodes, now);
        // One that asks for so many already has its turn in the queue.
        if (answer is not ShrinkAnswer.GoOn { Layout: var layout } || layout.Nodes >= Asked(stage))
        {
            return stage.Stay($"{pending.Reason}; {answer.Reason}");
        }

        string reason = $"{answer.Reason}; {CheckpointsOf(stage)}";
        return shrunk.Say(now, "shrunk", EventLevel.Warning, reason)
            .Stop(shrunk.NoNodes(now), new Ending.Relaunch(reason, now) { Layout = layout }, reason, now);
    }

    /// <summary>What so many nodes could do, and the stage as one that has shrunk.</summary>
    public static (ShrinkAnswer Answer, Stage Shrunk) Weigh(
        Stage stage, PlacementDecision.Pending pending, int nodes, DateTimeOffset now)
    {
        var spec = stage.Wish.Pipeline.Stage(stage.Id.Stage);
        var ways = ShrunkLayouts.Of(stage.Wish.Pipeline, spec, nodes);
        var (expected, basis) = ReturnOf(stage, pending, now);
        string none = ways.IsEmpty ? ShrunkLayouts.WhyNone(stage.Wish.Pipeline, spec) : "";
        var answer = none.Length > 0 ? new ShrinkAnswer.Wait($"it cannot go on with fewer nodes: {none}")
            : Shrinking.Decide(new ShrinkQuestion(
                stage.Wish.Work.Ranks, ways, pending.Room is { DealsUnevenly: true }, expected, basis, ReformOf(stage)));
        return (answer, stage with
        {
            Shrunk = new ShrunkGang(null, stage.Shrunk?.Since ?? stage.Incident?.HappenedAt ?? now, expected, basis),
            ShrunkAt = [.. stage.ShrunkAt.Add(now).TakeLast(LossesKept)],
        });
    }

    /// <summary>Null: nothing follows from it.</summary>
    public static Decision? Growth(Stage stage, Phase.Running running, Observation seen, DateTimeOffset now)
    {
        if (stage.Shrunk is not { Layout: not null } shrunk || seen.Placement is null)
        {
            return null;
        }

        var answer = Answer(stage, shrunk, seen, now);
        if (answer.Grow)
        {
            // What came back and stayed is no worse than the others.
            var back = ((PlacementDecision.Placed)seen.Placement).Grant.Nodes;
            return (stage with { Avoid = stage.Avoid.RemoveAll(a => back.Contains(a.Node)) })
                .Say(now, "growing", EventLevel.Info, answer.Reason)
                .Stop(running.Gang, new Ending.Relaunch(answer.Reason, now), answer.Reason, now, stage.Policy.SaveWithin);
        }

        var kept = stage with { Shrunk = shrunk with { RoomSince = answer.RoomSince } };
        return answer.RoomSince == shrunk.RoomSince ? null : kept.To(running, Trains(kept, "trains", seen, now));
    }

    /// <summary>"trains at step 12 of 30 on 3 of 4 nodes since 14:03:05 UTC, 75 % of its rate; full again when …".</summary>
    public static string Trains(Stage stage, string trains, Observation seen, DateTimeOffset now)
    {
        if (stage.Shrunk is not { Layout: { } layout } shrunk)
        {
            return trains;
        }

        string growing = Answer(stage, shrunk, seen, now).Reason;
        string again = growing.Length > 0 ? growing
            : $"full again when {Words.Count(layout.Of - layout.Nodes, "sound node is", "sound nodes are")} free, "
                + $"expected within {Words.Duration(shrunk.Return)} ({shrunk.ReturnBasis})";
        return $"{trains} on {layout.InWords} since {shrunk.Since:yyyy-MM-dd HH:mm:ss} UTC ({layout.RateInWords}); {again}";
    }

    private static GrowAnswer Answer(Stage stage, ShrunkGang shrunk, Observation seen, DateTimeOffset now) =>
        Growing.Decide(new GrowQuestion(shrunk.Layout!, shrunk.RoomSince, seen.Placement is PlacementDecision.Placed,
            StageOutlook.AsItIs(stage, seen), ReformOf(stage), stage.ShrunkAt.Count(at => now - at <= Growing.Remembers),
            stage.Policy.GrowAfter), now);

    /// <summary>The gang that trains now has what the stage asks for, or has not: what is remembered of it.</summary>
    public static Stage Began(Stage stage, TimeSpan launch, DateTimeOffset now)
    {
        var timed = stage.Phase is Phase.Starting ? stage with { LaunchTook = launch } : stage;
        if (stage.Shrunk is not { Layout: null } shrunk)
        {
            return timed;
        }

        var away = (shrunk.RoomSince ?? now) - shrunk.Since;
        return (timed with { Shrunk = null, Returns = [.. stage.Returns.Add(away).TakeLast(ReturnsKept)] })
            .Say(now, "grown-back", EventLevel.Info,
                $"trains on all {stage.Wish.Work.Nodes} nodes again, {Words.Duration(now - shrunk.Since)} after it lost some");
    }

    /// <summary>How many nodes the stage asks for at present.</summary>
    public static int Asked(Stage stage) => stage.Shrunk?.Layout?.Nodes ?? stage.Wish.Work.Nodes;

    /// <summary>It is broken nodes that it waits for, and not only its turn.</summary>
    public static bool Lacks(Stage stage, PlacementDecision.Pending pending, RoomSeen room)
    {
        int asked = Asked(stage);
        bool lost = stage.Shrunk is not null || stage.Incident is { NodeIsSuspect: true };
        return room.Nodes < asked && (lost || room.Nodes + room.Out >= asked)
            && !pending.Reasons.Any(r => r.Kind is PendingKind.Preempting or PendingKind.Quota);
    }

    private static (TimeSpan Expected, string Basis) ReturnOf(Stage stage, PlacementDecision.Pending pending, DateTimeOffset now)
    {
        if (pending.Eta is { Likely: var likely, Basis: var basis } && likely > now)
        {
            return (likely - now, basis.Length > 0 ? basis : "when others end");
        }

        return stage.Returns is { IsDefaultOrEmpty: false } returns
            ? (returns.Order().ElementAt(returns.Length / 2), $"the median of {Words.Count(returns.Length, "return", "returns")} so far")
            : (Calibration.Repair, "the plan's time for a repair");
    }

    private static TimeSpan ReformOf(Stage stage) => stage.LaunchTook ?? Calibration.Recovery;

    private static string CheckpointsOf(Stage stage) => Checkpoints.CheckpointChoice.FromWhere(stage.Checkpoints);
}
