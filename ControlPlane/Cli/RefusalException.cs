namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>An expected end of a verb: one line that says what is wrong, one that says what to do.</summary>
public sealed class RefusalException(string message, string fix, int exitCode = ExitCode.Failed, Exception? cause = null) : Exception(message, cause)
{
    public string Fix { get; } = fix;

    public int Code { get; } = exitCode;
}
