using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>
/// Where the connection of `dev` and `serve` comes from: a file, the environment, or the command line, which everybody on the machine can
/// read.
/// </summary>
internal static class DatabaseText
{
    public const string Variable = "DSOPS_DATABASE";

    /// <summary>Ours: a connection is a few hundred characters.</summary>
    private const int LengthMax = 16_384;

    private const string Form = "Write the connection into its first line: Host=…;Username=…;Password=…;Database=…";

    public static string? From(string? option, string? file)
    {
        string? environment = Environment.GetEnvironmentVariable(Variable);
        // Agents and ranks are started with our environment; the database is not for them.
        Environment.SetEnvironmentVariable(Variable, null);
        if (option is { Length: > 0 } && file is { Length: > 0 })
        {
            throw new RefusalException("--database and --database-file name two databases.", "Leave one of them out.", ExitCode.Usage);
        }

        return file is { Length: > 0 } ? FirstLine(file) : option is { Length: > 0 } ? option : environment;
    }

    private static string FirstLine(string file)
    {
        try
        {
            using var reader = new StreamReader(file);
            // A pipe is welcome, as `<(…)` of a shell gives it; what has no end is not read to it.
            char[] beginning = new char[LengthMax];
            int length = reader.ReadBlock(beginning);
            string[] lines = new string(beginning, 0, length).Split('\n', 2);
            return lines.Length == 1 && length == LengthMax
                ? throw new RefusalException($"--database-file {file} has no line end in its first {LengthMax} characters.", Form,
                    ExitCode.Usage)
                : lines[0].Trim() is { Length: > 0 } line ? line
                : throw new RefusalException($"--database-file {file} has an empty first line.", Form, ExitCode.Usage);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"--database-file {file} cannot be read: {e.Message}",
                "Check its path and rights; it should be readable by you alone.",
                ExitCode.Failed, e);
        }
    }
}
