using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>What a run becomes, what it wants of its stages, and why.</summary>
/// <param name="Next">The very same object when nothing is to be written.</param>
public sealed record RunDecision(Run Next, ImmutableArray<StageWish> Wishes, string Reason);

/// <summary>
/// Stages in their order, each from the final checkpoint of the one it begins from. Level-triggered like the stage's planner: a wish
/// is said again on each tick until the stage's report answers it.
/// </summary>
public static class RunPlanner
{
    /// <param name="reports">By stage; null: the stage has never been asked.</param>
    public static RunDecision Decide(Run run, ImmutableArray<StageReport?> reports, DateTimeOffset now) => run.Phase switch
    {
        { Terminal: false } when RunHolds.Ended(run, reports, now) is { } ended => ended,
        RunPhase.Queued or RunPhase.Running => Go(run, reports, now),
        RunPhase.Pausing => WhilePausing(run, reports, now),
        RunPhase.Paused => run.Intent switch
        {
            Intent.Train => run.To(new RunPhase.Running(), "goes on", now, "resumed"),
            Intent.Cancel => run.To(new RunPhase.Cancelling(), run.Reason, now),
            _ => new RunDecision(run, [], run.Reason),
        },
        RunPhase.Cancelling => WhileCancelling(run, reports, now),
        RunPhase.Completed or RunPhase.Failed or RunPhase.Cancelled => new RunDecision(run, [], run.Reason),
        _ => throw new UnreachableException($"phase {run.Phase}"),
    };

    private static RunDecision Go(Run run, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        if (run.Intent != Intent.Train)
        {
            return run.To(run.Intent == Intent.Pause ? new RunPhase.Pausing() : new RunPhase.Cancelling(), run.Reason, now);
        }

        if (run.Current == run.Stages.Length)
        {
            var took = now - run.SubmittedAt;
            string done = run.Stages.Length switch { 1 => "its only stage", 2 => "both stages", var all => $"all {all} stages" }
                + $" completed, {Words.Duration(took)} after the submission";
            return run.To(new RunPhase.Completed(now), done, now, "completed", took: took);
        }

        var stage = run.Stages[run.Current];
        if (stage.Round == 0)
        {
            return BeginStage(run, stage, reports, now);
        }

        var report = Current(run, reports);
        return report?.Phase switch
        {
            Phase.Completed => HandOn(run, report, now),
            Phase.Failed => StageFailed(run, report, now),
            Phase.Cancelled =>
                run.To(new RunPhase.Cancelled(now), $"stage {stage.Work.Name} was cancelled", now, "cancelled", EventLevel.Warning),
            { Terminal: false } when report.Hold.Length > 0 => (run with
            {
                Intent = Intent.Pause,
                Question = $"Is it to go on? {report.Hold} `dsops resume {run.Name}` goes on.",
            })
                .To(new RunPhase.Pausing(), $"held for a person, `dsops resume {run.Name}` goes on: {report.Hold}", now, "held",
                    EventLevel.Warning),
            { GangOrNull.Nodes.Length: > 0 } when run.Phase is RunPhase.Queued =>
                run.To(new RunPhase.Running(), $"stage {stage.Work.Name} has its nodes", now),
            _ => new RunDecision(run, [WishOf(run)], report is null ? $"begins stage {stage.Work.Name}"
                : $"stage {stage.Work.Name} is {StageViews.NameOf(report.Phase)}: {report.Reason}"),
        };
    }

    private static RunDecision BeginStage(Run run, RunStage stage, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        var spec = run.Pipeline.Stage(stage.Work.Name);
        if (RunGates.Refusal(spec, run, reports) is { } refusal)
        {
            return Fail(run, refusal, now);
        }

        if (spec.Gates.Any(g => g is Gate.Approval) && !stage.Approved)
        {
            string waits = $"stage {stage.Work.Name} waits for approval; run `dsops resume {run.Name}`";
            return (run with { Intent = Intent.Pause, Question = $"May it go on? {waits}" })
                .To(new RunPhase.Paused(), waits, now, "approval-wanted");
        }

        var begin = spec.BeginFrom.Length > 0 ? run.FinalOf(spec.BeginFrom) : run.Current > 0 ? run.Stages[run.Current - 1].Final
            : run.Pipeline.ModelFrom is { } published ? CheckpointRef.Of(published) : null;
        var student = stage.Work.StudentFrom is { } name ? run.FinalOf(name) : null;
        var begun = stage with { Round = run.Round, BeginFrom = begin, StudentFrom = student };
        string reason = $"begins stage {stage.Work.Name} from {begin?.Lineage ?? "random initialisation"}";
        var next = run with { Stages = run.Stages.SetItem(run.Current, begun) };
        return next.To(run.Phase, reason, now, "stage-begun");
    }

    private static RunDecision HandOn(Run run, StageReport report, DateTimeOffset now)
    {
        var final = report.Final ?? throw new UnreachableException($"{report.Stage} completed without a checkpoint");
        var next = run with
        {
            Stages = run.Stages.SetItem(run.Current, run.Stages[run.Current] with { Final = final }),
            Current = run.Current + 1,
        };
        string to = next.Current < run.Stages.Length ? $"; next is {next.Stages[next.Current].Work.Name}" : "";
        return next.To(run.Phase, $"{report.Stage.Stage} hands on {final.Path} ({final.Lineage}){to}", now, "handed-on");
    }

    private static RunDecision WhilePausing(Run run, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        if (run.Intent == Intent.Train)
        {
            return run.To(new RunPhase.Running(), "goes on", now, "resumed");
        }

        if (run.Intent == Intent.Cancel)
        {
            return run.To(new RunPhase.Cancelling(), run.Reason, now);
        }

        if (run.Current == run.Stages.Length || run.Stages[run.Current].Round == 0)
        {
            return run.To(new RunPhase.Paused(), $"paused between two stages: {run.Reason}", now, "paused");
        }

        var report = Current(run, reports);
        if (report is not null && report.Round < run.Stages[run.Current].Round)
        {
            return run.To(new RunPhase.Paused(), $"paused before the retry of {report.Stage.Stage} began: {run.Reason}", now, "paused");
        }

        return report?.Phase switch
        {
            Phase.Paused => run.To(new RunPhase.Paused(), report.Reason, now, "paused"),
            Phase.Completed => HandOn(run, report, now),
            Phase.Failed => StageFailed(run, report, now),
            Phase.Cancelled => run.To(new RunPhase.Cancelled(now), $"stage {report.Stage.Stage} was cancelled", now, "cancelled"),
            _ => new RunDecision(run, [WishOf(run)], OnTheWay(run, report)),
        };
    }

    private static RunDecision WhileCancelling(Run run, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        bool none = run.Current == run.Stages.Length || run.Stages[run.Current].Round == 0;
        var report = none ? null : Current(run, reports);
        return none || report?.Phase is { Terminal: true }
            ? run.To(new RunPhase.Cancelled(now), run.Reason, now, "cancelled", EventLevel.Warning)
            : new RunDecision(run, [WishOf(run)], OnTheWay(run, report));
    }

    private static string OnTheWay(Run run, StageReport? report) =>
        report is null ? run.Reason : $"{report.Stage.Stage} is {StageViews.NameOf(report.Phase)}: {report.Reason}";

    /// <summary>The stage has told why on the same timeline a moment ago.</summary>
    private static RunDecision StageFailed(Run run, StageReport report, DateTimeOffset now)
    {
        string reason = $"stage {report.Stage.Stage} failed: {report.Reason}";
        string told = $"stage {report.Stage.Stage} failed, so the run ends here; `dsops retry {run.Name}` takes it up again";
        var next = run.Say(now, "failed", EventLevel.Error, told);
        return next.To(new RunPhase.Failed(now), reason, now);
    }

    private static RunDecision Fail(Run run, string reason, DateTimeOffset now) =>
        run.To(new RunPhase.Failed(now), reason, now, "failed", EventLevel.Error);

    /// <summary>
    /// The current stage's answer to what is asked now. An end of an older round is no answer to a retry, but it is one to a pause or
    /// a cancel: nothing of the stage runs.
    /// </summary>
    private static StageReport? Current(Run run, ImmutableArray<StageReport?> reports)
    {
        var report = reports[run.Current];
        bool old = report is not null && report.Round < run.Stages[run.Current].Round;
        return old && (run.Intent == Intent.Train || report!.Phase is not { Terminal: true }) ? null : report;
    }

    private static StageWish WishOf(Run run)
    {
        var stage = run.Stages[run.Current];
        return new StageWish(new StageId(run.Name, stage.Work.Name), stage.Round, run.Intent, run.Reason, stage.Work, run.Pipeline,
            stage.BeginFrom, stage.StudentFrom, stage.FromStep)
        {
            Held = run.Held,
            Undo = run.Undo,
        };
    }
}
