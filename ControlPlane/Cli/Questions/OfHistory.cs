using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>What a run does, who asked for it, and the runs that are like it.</summary>
internal static class OfHistory
{
    private static readonly (string Act, string Done)[] Acts =
    [
        ("submit-run", "submitted"), ("cancel-run", "cancelled"), ("pause-run", "paused"), ("resume-run", "resumed"),
        ("retry-run", "retried"), ("hold-run", "held"), ("release-run", "released"),
    ];

    public static readonly ImmutableArray<Question> All =
    [
        new("which-runs", "Which runs are there?", About.All, Need.AllRuns, Need.None,
        [
            "list the runs", "what runs", "which runs are running", "what is running", "how many runs are there", "all runs",
            "what is running right now", "what else is running",
        ], Runs),
        new("doing", "What is it doing now?", About.OneRun, Need.Run, Need.None,
        [
            "how is it", "what is the state", "status", "where does it stand", "is it running", "is it still running", "how far is it",
            "progress", "what step is it at", "is it alive", "how far along is it",
        ], Doing),
        new("changed", "What changed against its parent?", About.OneRun, Need.Run | Need.Alike, Need.None,
        [
            "what changed", "what is different from the last run", "what differs from the previous run", "diff to its parent",
            "which settings changed", "what is new in it", "difference to the run before", "what did i change since the last run",
        ], Changed),
        new("alike", "Which runs are like it?", About.OneRun, Need.Run | Need.Alike, Need.None,
        [
            "similar runs", "which runs are similar", "runs like this one", "what else is like it", "comparable runs", "related runs",
            "with which runs can i compare it", "are there comparable runs",
        ], Like),
        new("who-asked", "Who submitted it, and who cancelled it?", About.OneRun, Need.Run | Need.Audit, Need.None,
        [
            "who submitted it", "who started it", "who cancelled it", "who paused it", "who stopped it", "who killed it", "who owns it",
            "whose run is it", "who resumed it", "who retried it", "who launched this",
        ], Who),
    ];

    private static Answer Runs(Facts facts)
    {
        var reply = facts.Runs!;
        string states = string.Join(", ", reply.States.OrderByDescending(state => state.Value)
            .ThenBy(state => state.Key, StringComparer.Ordinal)
            .Select(state => $"{Places.Whole(state.Value)} {state.Key}"));
        return (reply.All == 0 ? Answer.Of("None: no run was submitted yet")
            : Answer.Of($"{Places.Many(reply.All, "run", "runs")}: {states}"))
            .With(reply.Runs.Select(run => (run.Name, Places.Standing(run.State, run.Reason))), 20)
            .See("/", "dsops runs");
    }

    private static Answer Doing(Facts facts)
    {
        var run = facts.Run!;
        string at = facts.Stage is { } stage ? $"; {stage.Name} is {stage.State}"
            + (stage.TotalSteps > 0 ? $", step {Words.Steps(stage.Step, stage.TotalSteps)}" : "")
            + (stage.HasLoss ? $", loss {Words.Figure(stage.Loss)}" : "") : "";
        return Answer.Of($"{run.Name} is {run.State}{at}")
            .With("why", run.Reason).With("stage", facts.Stage?.Reason == run.Reason ? null : facts.Stage?.Reason)
            .With("silence", facts.Stage?.Silence).With("held", run.Hold?.Words)
            .With("attempt", facts.Stage is { Attempt: > 0 } begun ? Places.Whole(begun.Attempt) : null)
            .With("restarts", run.Stages.Sum(s => s.RestartsByCause.Values.Sum()) is > 0 and var restarts ? Places.Whole(restarts) : null)
            .See(Places.RunPage(run.Name), $"dsops show {run.Name}");
    }

    private static Answer Changed(Facts facts)
    {
        var run = facts.Run!;
        string recorded = run.Stages.Select(s => s.BeganFrom.Split('/')[0])
            .FirstOrDefault(name => facts.Alike!.Any(a => a.Name == name)) ?? "";
        var parent = facts.Alike!.FirstOrDefault(a => a.Name == recorded)
            ?? facts.Alike!.FirstOrDefault(a => a.SubmittedAt < (run.SubmittedAt?.ToDateTimeOffset() ?? facts.Now));
        if (parent is null)
        {
            return Answer
                .Unknown($"no run is recorded as the one that {run.Name} was made from, and none with its stages was submitted before")
                .See(Places.RunPage(run.Name, "pipeline"), "dsops runs");
        }

        string why = recorded.Length > 0 ? "which its weights are from" : "the run most like it of those submitted before";
        string what = parent.Differences.Length == 0 ? "Nothing"
            : Places.Many(parent.Differences.Length, "field is", "fields are") + " not the same";
        return Answer.Of($"{what}{(parent.Differences.Length == 0 ? " differs" : "")} against {parent.Name}, {why}")
            .With(parent.Differences.Select(d => (d.Path, $"{d.Values[0]} -> {d.Values[1]}")), 16)
            .See(Places.RunPage(run.Name, "pipeline"), $"dsops compare {parent.Name} {run.Name}");
    }

    private static Answer Like(Facts facts)
    {
        var run = facts.Run!;
        var alike = facts.Alike!;
        return (alike.Count == 0 ? Answer.Of($"None: no other run has the stages and the size of {run.Name}")
                : Answer.Of($"{alike[0].Name} is most like it: {Differ(alike[0])}"
                        + (alike.Count > 1 ? $"; {Places.Many(alike.Count - 1, "other run has", "other runs have")} its stages and size"
                            : ""))
                    .With(alike.Select(a => (a.Name, Differ(a)))))
            .See(Places.RunPage(run.Name), alike.Count == 0 ? "dsops runs" : $"dsops compare {run.Name} {alike[0].Name}");
    }

    private static Answer Who(Facts facts)
    {
        var run = facts.Run!;
        // What was refused was not done; the log has it all the same.
        var lines = Enumerable.Reverse(facts.Audit!).Where(l => !l.Outcome.StartsWith("refused", StringComparison.Ordinal)).ToList();
        var told = Acts.Select(act => (act.Done, Line: lines.LastOrDefault(l => l.Act == act.Act))).Where(a => a.Line is not null)
            .Select(a => $"{a.Line!.Who} {a.Done} it").ToList();
        string declared = run.DeclaredBy.Length > 0 ? $"{run.DeclaredBy} declares it" : "";
        var all = told.Count > 0 || declared.Length == 0 ? told : [declared];
        return (all.Count == 0
            ? Answer.Unknown($"the audit log has no line of who submitted {run.Name}, and nobody asked anything of it since")
                : Answer.Of(string.Join("; ", all)))
            .With("submitted", run.SubmittedAt is { } at ? Words.Moment(at.ToDateTimeOffset()) : null).With("team", run.Team)
            .With(lines.Where(l => Acts.Any(a => a.Act == l.Act)).Reverse().Select(l => ($"{l.Act}, {Places.Clock(l.At, facts)}",
                $"{l.Who}{(l.Why.Length > 0 ? $": {l.Why}" : "")}{(l.From.Length > 0 ? $" (by {l.From})" : "")}")))
            .See(Places.RunPage(run.Name, "timeline"), $"dsops audit {run.Name}");
    }

    private static string Differ(AlikeRun run) => run.Differences.Length == 0 ? "the same pipeline but for the name"
        : Places.Many(run.Differences.Length, "field differs", "fields differ");
}
