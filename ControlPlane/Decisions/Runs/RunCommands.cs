using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>What a person's command makes of a run, or why it does not.</summary>
public abstract record CommandDecision
{
    private CommandDecision() { }

    public sealed record Take(Run Next) : CommandDecision;

    public sealed record Refuse(string Reason) : CommandDecision;
}

/// <summary>People's commands. They only set what is wanted; the planner goes there.</summary>
public static class RunCommands
{
    /// <param name="folders">By stage, what lies there already and is adopted. Null or empty: nothing is.</param>
    public static Run Begin(RunSubmission submission, DateTimeOffset now, ImmutableArray<StageFolder?> folders = default)
    {
        var pipeline = submission.Pipeline;
        string registration = Adoption.RegistrationOf(now);
        var stages =
            pipeline.Stages.Select(
                (s, i) => Adoption.Registered(WorkOf(pipeline, s), registration, folders.IsDefaultOrEmpty ? null : folders[i]))
            .Select(work => new RunStage(work, 0, null, null, null, null, false)).ToImmutableArray();
        int adopted = folders.IsDefaultOrEmpty ? 0 : folders.Sum(f => f?.Checkpoints.Length ?? 0);
        string reason = $"new run of {Words.Count(stages.Length, "stage", "stages")}, team {pipeline.Team}, priority "
            + $"{Priorities.Name((int)pipeline.Priority)}"
            + (submission.DeclaredBy.Length > 0 ? $", declared by {submission.DeclaredBy}" : "")
            + (adopted == 0 ? "" : $"; goes on from {Words.Count(adopted, "checkpoint", "checkpoints")} of an earlier run of this name");
        var run = new Run(submission.Name, pipeline, submission.Text, now, new RunPhase.Queued(), Intent.Train, reason, 0, 1, stages, [])
        {
            DeclaredBy = submission.DeclaredBy,
        };
        return run.Say(now, "submitted", EventLevel.Info, reason);
    }

    public static CommandDecision Pause(Run run, string reason, DateTimeOffset now) => run switch
    {
        { Phase.Terminal: true } => Over(run, "pause"),
        { Intent: Intent.Cancel } => new CommandDecision.Refuse($"Run {run.Name} is being cancelled"),
        _ => new CommandDecision.Take((run with { Intent = Intent.Pause, Question = "", Reason = Or(reason, "a person asked for it") })
            .Say(now, "pause-asked", EventLevel.Info, $"will pause: {Or(reason, "no reason given")}")),
    };

    public static CommandDecision Resume(Run run, string reason, DateTimeOffset now)
    {
        if (run.Phase.Terminal)
        {
            return new CommandDecision.Refuse($"Run {run.Name} has ended ({NameOf(run.Phase)}); retry begins it again");
        }

        if (run.Intent == Intent.Cancel)
        {
            return new CommandDecision.Refuse($"Run {run.Name} is being cancelled");
        }

        // A resume at a gate is the person's go that the gate waits for.
        var stages = run.Phase is RunPhase.Paused && run.Current < run.Stages.Length && run.Stages[run.Current].Round == 0
            ? run.Stages.SetItem(run.Current, run.Stages[run.Current] with { Approved = true }) : run.Stages;
        return new CommandDecision.Take((run with
        {
            Intent = Intent.Train,
            Question = "",
            Reason = Or(reason, "a person asked for it"),
            Stages = stages,
        })
            .Say(now, "resume-asked", EventLevel.Info, $"will resume: {Or(reason, "no reason given")}"));
    }

    public static CommandDecision Cancel(Run run, string reason, DateTimeOffset now) => run.Phase.Terminal ? Over(run, "cancel")
        : new CommandDecision.Take((run with { Intent = Intent.Cancel, Question = "", Reason = Or(reason, "a person asked for it") })
            .Say(now, "cancel-asked", EventLevel.Warning, $"will be cancelled: {Or(reason, "no reason given")}"));

    /// <param name="stage">Empty: the stage whose turn it is, which for a failed run is the one that failed.</param>
    /// <param name="checkpointStep">Null: its newest good checkpoint; 0: its beginning.</param>
    public static CommandDecision Retry(
        Run run, string stage, long? checkpointStep, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        if (stage.Length == 0 && run.Current == run.Stages.Length)
        {
            return new CommandDecision.Refuse($"All stages of {run.Name} are completed: name the one to begin again ({Names(run)})");
        }

        if (stage.Length > 0 && run.Stages.All(s => s.Work.Name != stage))
        {
            return new CommandDecision.Refuse($"Run {run.Name} has no stage '{stage}'; it has {Names(run)}");
        }

        int index = stage.Length == 0 ? run.Current : run.IndexOf(stage);
        string name = run.Stages[index].Work.Name;
        if (index > run.Current || (run.Stages[index].Round == 0 && index == run.Current && !run.Phase.Terminal))
        {
            string first = run.Stages[Math.Min(run.Current, run.Stages.Length - 1)].Work.Name;
            return new CommandDecision.Refuse($"Stage {name} has not begun yet; {first} comes first");
        }

        if (index < run.Current && !run.Phase.Terminal && run.Phase is not RunPhase.Paused)
        {
            return new CommandDecision.Refuse($"Run {run.Name} is {NameOf(run.Phase)} in a later stage; pause or cancel it "
                + $"first, then retry from {name}");
        }

        if (run.Intent == Intent.Cancel && !run.Phase.Terminal)
        {
            return new CommandDecision.Refuse($"Run {run.Name} is being cancelled; retry once it has ended");
        }

        var usable = reports[index]?.UsableSteps ?? [];
        if (checkpointStep is > 0 and var step && !usable.Contains(step))
        {
            string have = usable.IsEmpty ? "none" : string.Join(", ", usable);
            return new CommandDecision.Refuse($"Stage {name} has no usable checkpoint of step {step}; usable: {have}");
        }

        return new CommandDecision.Take(Again(run, index, checkpointStep, now));
    }

    /// <summary>As views and refusals call it.</summary>
    public static string NameOf(RunPhase phase) => phase switch
    {
        RunPhase.Queued => "queued",
        RunPhase.Running => "running",
        RunPhase.Pausing => "pausing",
        RunPhase.Paused => "paused",
        RunPhase.Cancelling => "cancelling",
        RunPhase.Completed => "completed",
        RunPhase.Failed => "failed",
        RunPhase.Cancelled => "cancelled",
        _ => throw new System.Diagnostics.UnreachableException($"phase {phase}"),
    };

    /// <summary>The run with its stages as they were last reported.</summary>
    public static RunView View(Run run, ImmutableArray<StageReport?> reports, string reason, bool simulated, DateTimeOffset now)
    {
        DateTimeOffset? ended = run.Phase switch
        {
            RunPhase.Completed p => p.At,
            RunPhase.Failed p => p.At,
            RunPhase.Cancelled p => p.At,
            _ => null,
        };
        // A stage that a retry will do again shows as waiting, not by its older round.
        var outlooks = RunForecast.Stages(run, reports);
        var forecast = RunForecast.Of(run, outlooks, reports, now);
        int next = run.Phase.Terminal ? -1 : run.Current;
        var views = run.Stages.Select((s, i) => s.Round > 0 && reports[i] is { } report ? report.View
            : StageViews.NotBegun(s.Work, i == next) with
            {
                Outlook = outlooks[i],
                Remaining = RunForecast.Goes(run) ? outlooks[i]?.Likely : null,
            });
        return new RunView(run.Name, run.Pipeline.Team, NameOf(run.Phase), reason, run.SubmittedAt, ended, [.. views], run.Text, simulated)
        {
            Forecast = forecast,
            DeclaredBy = run.DeclaredBy,
            Question = run.Question,
            Held = run.Held is { } hold && hold.Stands(now) && !run.Phase.Terminal ? hold : null,
            Parameters = ParameterCount.Of(run.Pipeline.Model).Total,
            Groups = [.. run.Pipeline.Stages.Select(s => run.Pipeline.ResourcesOf(s).Group).Where(g => g.Length > 0).Distinct()],
        };
    }

    private static Run Again(Run run, int index, long? checkpointStep, DateTimeOffset now)
    {
        int round = run.Round + 1;
        string from = checkpointStep switch { null => "its newest good checkpoint", 0 => "its beginning", { } s => $"step {s}" };
        string reason = $"retry of {run.Stages[index].Work.Name} from {from}";
        var stages = run.Stages.Select((s, i) => i < index ? s
            : i == index ? s with { Round = s.Round == 0 ? 0 : round, FromStep = checkpointStep, Final = null }
            : s with { Round = 0, BeginFrom = null, StudentFrom = null, FromStep = 0, Final = null, Approved = false });
        return (run with
        {
            Round = round,
            Question = "",
            Current = index,
            Phase = run.Phase.Terminal || run.Phase is RunPhase.Paused ? new RunPhase.Queued() : run.Phase,
            // Whoever held what has ended is not thought of when it begins again.
            Held = run.Phase.Terminal ? null : run.Held,
            Intent = Intent.Train,
            Reason = reason,
            Stages = [.. stages],
        }).Say(now, "retry-asked", EventLevel.Info, reason);
    }

    private static StageWork WorkOf(PipelineSpec pipeline, StageSpec stage)
    {
        var length = stage.Recipe.Length();
        var resources = pipeline.ResourcesOf(stage);
        string student = stage.Recipe.SecondOrigin();
        return new StageWork(
            stage.Name, stage.Kind, length.Steps, length.Tokens, resources.Nodes, resources.RanksPerNode, (int)pipeline.Priority,
            pipeline.Team, pipeline.CheckpointsOf(stage).Keep, student.Length == 0 ? null : student, pipeline.Recovery)
        {
            Needs = GangNeeds.Of(pipeline, stage),
        };
    }

    private static CommandDecision.Refuse Over(Run run, string verb) =>
        new($"Run {run.Name} has ended ({NameOf(run.Phase)}): there is nothing to {verb}");

    private static string Or(string reason, string instead) => reason.Length == 0 ? instead : reason;

    private static string Names(Run run) => string.Join(", ", run.Stages.Select(s => s.Work.Name));
}
