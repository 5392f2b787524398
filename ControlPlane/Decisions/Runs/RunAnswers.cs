using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>What became of a submission.</summary>
public abstract record SubmitResult
{
    private SubmitResult() { }

    public sealed record Created(RunView Run) : SubmitResult;

    /// <summary>The same pipeline was there already under this name.</summary>
    public sealed record Same(RunView Run) : SubmitResult;

    /// <summary>Another pipeline has this name; each line says one difference.</summary>
    public sealed record Different(ImmutableArray<string> Differences) : SubmitResult;

    /// <summary>Checkpoints of a run that is not known here lie under this name.</summary>
    public sealed record Occupied(string Reason) : SubmitResult;
}

/// <summary>What became of a person's command to a run.</summary>
public abstract record CommandResult
{
    private CommandResult() { }

    public sealed record Taken(RunView Run) : CommandResult;

    public sealed record Refused(string Reason) : CommandResult;

    public sealed record NoSuchRun : CommandResult;
}
