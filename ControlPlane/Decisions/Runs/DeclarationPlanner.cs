namespace DeepSeekOps.Decisions.Runs;

/// <summary>
/// From a TrainingPipeline and its run to the next step. Level-triggered: whoever asks again after a crash, a lost answer or a long absence
/// gets the step that is still missing. A run is ended only where its own resource was seen to be deleted; a resource that is not seen says
/// nothing, since an API server that was emptied, or another one, shows none either.
/// </summary>
public static class DeclarationPlanner
{
    /// <summary>Ours: what a refusal named may have been mended without a change of the spec, such as a file that is there now.</summary>
    public static readonly TimeSpan TryAgainAfter = TimeSpan.FromMinutes(1);

    /// <summary>Ours: steps alone are written four times a minute for each run; who wants more looks at the pages.</summary>
    public static readonly TimeSpan FiguresEvery = TimeSpan.FromSeconds(15);

    /// <summary>A column of `kubectl get`; the condition has all of it.</summary>
    private const int ReasonMax = 300;

    /// <param name="run">The run under <see cref="Declaration.Watched"/>.</param>
    /// <param name="sinceTried">Since it was submitted last. Null: not by us.</param>
    /// <param name="sinceTold">Since its status was written last. Null: not by us.</param>
    public static DeclarationDecision Decide(
        Declaration seen, RunFound run, DateTimeOffset now, TimeSpan? sinceTried, TimeSpan? sinceTold) => run switch
        {
            RunFound.Unknown unknown => new(new DeclarationStep.Stay(), $"run {seen.Watched} cannot be asked: {unknown.Why}"),
            _ when seen is { Deleting: true } => End(seen, run, now, sinceTold),
            _ when seen.Claim is null => Bound(seen, "it is new"),
            RunFound.None when seen.Claim != seen.Run => Bound(seen, $"its spec names another run, and {seen.Claim} never began"),
            RunFound.None => Begin(seen, now, sinceTried, sinceTold),
            RunFound.There there when there.Run.DeclaredBy == seen.Resource => Own(seen, there.Run, now, sinceTold),
            RunFound.There when seen.Claim != seen.Run =>
                Bound(seen, $"its spec names another run than {seen.Claim}, which is not its own"),
            RunFound.There { Run: var other } => TellOf(seen, run,
                new(DeclarationVerdict.NameTaken, Taken(seen.Resource, other.Name, other.DeclaredBy)), now, sinceTold),
            _ => throw new System.Diagnostics.UnreachableException($"run {run}"),
        };

    /// <summary>What its status says after a submission.</summary>
    public static DeclarationStatus StatusOf(Declaration seen, RunFound run, DeclarationAnswer answer, DateTimeOffset now)
    {
        var own = run is RunFound.There there && there.Run.DeclaredBy == seen.Resource ? there.Run : null;
        var stage = own?.Stages.FirstOrDefault(s => s.State != "completed") ?? own?.Stages.LastOrDefault();
        string reason = answer.Words.Length > 0 ? answer.Words : own?.Reason ?? "";
        var status = new DeclarationStatus(
            seen.Generation, own?.Name ?? "", own?.State ?? DeclarationStatus.RefusedState, stage?.Name ?? "", stage?.Step ?? 0,
            stage?.TotalSteps ?? 0, OneLine(reason), answer.Verdict, answer.Words, now, now);
        return seen.Told is not { } told ? status : status with
        {
            AcceptedSince = told.Accepted == status.Accepted ? told.AcceptedSince : now,
            FinishedSince = told.Finished == status.Finished ? told.FinishedSince : now,
        };
    }

    /// <summary>Why a submission does not speak for the run of its name. Null: it does, or nobody but people do.</summary>
    public static string? Refusal(RunSubmission submission, Run run) =>
        submission.DeclaredBy.Length == 0 || submission.DeclaredBy == run.DeclaredBy ? null
        : Taken(submission.DeclaredBy, run.Name, run.DeclaredBy);

    private static DeclarationDecision Bound(Declaration seen, string why) =>
        new(new DeclarationStep.Hold(seen.Run), $"{seen.Resource} is bound to run {seen.Run}: {why}");

    private static DeclarationDecision End(Declaration seen, RunFound run, DateTimeOffset now, TimeSpan? sinceTold) => run switch
    {
        _ when seen.Claim is null => new(new DeclarationStep.Stay(), $"{seen.Resource} was deleted before anything of it began"),
        RunFound.There { Run: { Ended: false } own } when own.DeclaredBy == seen.Resource => own.State == "cancelling"
            ? TellOf(seen, run, seen.Told is { } told ? new(told.Verdict, told.Words) : DeclarationAnswer.Taken, now, sinceTold)
            : new(new DeclarationStep.Cancel(own.Name), $"{seen.Resource} was deleted"),
        _ => new(new DeclarationStep.LetGo(), $"{seen.Resource} was deleted, and no run of it goes on"),
    };

    /// <summary>There is no run yet, or the database that knew it is lost.</summary>
    private static DeclarationDecision Begin(Declaration seen, DateTimeOffset now, TimeSpan? sinceTried, TimeSpan? sinceTold) =>
        seen.Told is { Verdict: DeclarationVerdict.Refused } told && told.Generation == seen.Generation && sinceTried < TryAgainAfter
        ? TellOf(seen, new RunFound.None(), new(told.Verdict, told.Words), now, sinceTold)
        : new(new DeclarationStep.Submit(), $"{seen.Resource} asks for run {seen.Run}");

    private static DeclarationDecision Own(Declaration seen, RunView run, DateTimeOffset now, TimeSpan? sinceTold)
    {
        var found = new RunFound.There(run);
        if (seen.Run != run.Name)
        {
            return TellOf(seen, found, new(DeclarationVerdict.SpecChanged, Renamed(seen, run)), now, sinceTold);
        }

        if (run.Ended && seen.Told is null or { Verdict: DeclarationVerdict.RunEnded })
        {
            return TellOf(seen, found, new(DeclarationVerdict.RunEnded, Before(run)), now, sinceTold);
        }

        return seen.Told is { Verdict: DeclarationVerdict.Submitted or DeclarationVerdict.SpecChanged } told
            && told.Generation == seen.Generation
            ? TellOf(seen, found, new(told.Verdict, told.Words), now, sinceTold)
            : new(new DeclarationStep.Submit(), $"{seen.Resource} has a spec that was not compared with run {run.Name} yet");
    }

    private static DeclarationDecision TellOf(
        Declaration seen, RunFound run, DeclarationAnswer answer, DateTimeOffset now, TimeSpan? sinceTold)
    {
        var status = StatusOf(seen, run, answer, now);
        if (status == seen.Told)
        {
            return new(new DeclarationStep.Stay(), $"{seen.Resource} says what is");
        }

        bool figures = seen.Told is { } told && status with { Step = told.Step, Reason = told.Reason } == told
            && Decisions.Words.SameButFigures(told.Reason, status.Reason);
        return figures && sinceTold < FiguresEvery
            ? new(new DeclarationStep.Stay(), $"{seen.Resource} was updated a moment ago, and only figures changed")
            : new(new DeclarationStep.Tell(status), $"{seen.Resource} is to say {status.State}");
    }

    private static string Taken(string resource, string run, string by) =>
        $"spec.name: a run named {run} exists already, and it was submitted by {Whom(by)}, not by {resource}. It is left as it is. "
        + "Fix: give spec.name (or the resource) a name that no run has.";

    private static string Renamed(Declaration seen, RunView run) =>
        $"spec.name: '{seen.Run}' is another run than {run.Name}, which this resource began and which is {run.State}. "
        + $"Fix: write spec.name: {run.Name} again; for another run apply another resource.";

    private static string Before(RunView run) =>
        $"spec.name: a run named {run.Name} of this resource's name has ended before ({run.State}), and a name is used once. "
        + $"Fix: `dsops retry {run.Name}` goes on with it; another spec.name begins a new run.";

    private static string Whom(string declaredBy) => declaredBy.Length > 0 ? declaredBy : "a submission (dsops submit, REST or the pages)";

    private static string OneLine(string text)
    {
        string line = string.Join("; ", text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
        return line.Length <= ReasonMax ? line : string.Concat(line.AsSpan(0, ReasonMax - 1), "…");
    }
}
