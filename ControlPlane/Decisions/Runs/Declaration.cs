namespace DeepSeekOps.Decisions.Runs;

/// <summary>A pipeline that stands as an object in Kubernetes, as it was last seen.</summary>
/// <param name="Resource">"TrainingPipeline dsops/mini".</param>
/// <param name="Generation">Grows with each change of what is wanted.</param>
/// <param name="Run">The name that its spec gives to the run.</param>
/// <param name="Claim">
/// The run that it was bound to before anything was begun. From then on it is not deleted without us. Null: not bound.
/// </param>
/// <param name="Deleting">Somebody deleted it; it stays until we let it go.</param>
/// <param name="Told">What its status says. Null: nothing yet.</param>
public sealed record Declaration(
    string Resource, long Generation, string Run, string? Claim, bool Deleting, DeclarationStatus? Told)
{
    public const string Kind = "TrainingPipeline";

    /// <summary>Whose state decides what becomes of it.</summary>
    public string Watched => Claim ?? Run;
}

/// <summary>What became of a spec. The names are reasons of a condition, which programs wait for.</summary>
public enum DeclarationVerdict
{
    Submitted = 0,
    /// <summary>The pipeline has problems, or checkpoints lie under its name.</summary>
    Refused = 1,
    /// <summary>Somebody else's run has the name.</summary>
    NameTaken = 2,
    /// <summary>The run goes on with the pipeline that it began with.</summary>
    SpecChanged = 3,
    /// <summary>A run of this name, declared by this resource or an earlier one, has ended before.</summary>
    RunEnded = 4,
}

/// <summary>What is written into the object, for `kubectl get` and for who waits on conditions.</summary>
/// <param name="Generation">The generation that was judged.</param>
/// <param name="Run">The run that is this resource's. Empty: none.</param>
/// <param name="State">As the run's; "refused" where it has none.</param>
/// <param name="Words">Why the spec was not taken, in full; of one that was taken, empty.</param>
/// <param name="AcceptedSince">When the condition Accepted became what it is.</param>
/// <param name="FinishedSince">When the condition Finished became what it is.</param>
public sealed record DeclarationStatus(
    long Generation, string Run, string State, string Stage, long Step, long TotalSteps, string Reason, DeclarationVerdict Verdict,
    string Words, DateTimeOffset AcceptedSince, DateTimeOffset FinishedSince)
{
    public const string RefusedState = "refused";

    public bool Accepted => Verdict == DeclarationVerdict.Submitted;

    public bool Finished => State is "completed" or "failed" or "cancelled";
}

/// <summary>The run under a name, as far as it could be asked.</summary>
public abstract record RunFound
{
    private RunFound() { }

    public sealed record Unknown(string Why) : RunFound;

    public sealed record None : RunFound;

    public sealed record There(RunView Run) : RunFound;
}

/// <summary>What a submission was answered.</summary>
/// <param name="Words">Why it was not taken.</param>
public sealed record DeclarationAnswer(DeclarationVerdict Verdict, string Words)
{
    public static DeclarationAnswer Taken { get; } = new(DeclarationVerdict.Submitted, "");
}

/// <summary>The next step for one resource. Closed; each can be done twice.</summary>
public abstract record DeclarationStep
{
    private DeclarationStep() { }

    public sealed record Stay : DeclarationStep;

    /// <summary>Bind it to the run, so that it is not deleted without us.</summary>
    public sealed record Hold(string Run) : DeclarationStep;

    public sealed record Submit : DeclarationStep;

    public sealed record Cancel(string Run) : DeclarationStep;

    public sealed record Tell(DeclarationStatus Status) : DeclarationStep;

    /// <summary>Nothing of it is left here; it may go.</summary>
    public sealed record LetGo : DeclarationStep;
}

public sealed record DeclarationDecision(DeclarationStep Step, string Reason);
