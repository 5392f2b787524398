using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>An expected end of a verb: one line that says what is wrong, one that says what to do.</summary>
public sealed class RefusalException(string message, string fix, int exitCode = ExitCode.Failed,
    Exception? cause = null) : Exception(message, cause)
{
    public string Fix { get; } = fix;

    public int Code { get; } = exitCode;

    /// <summary>What is wrong with a pipeline, one by one, for scripts; the message says the same to people.</summary>
    public IReadOnlyList<Problem> Problems { get; init; } = [];
}
