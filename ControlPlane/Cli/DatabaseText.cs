using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>
/// Where the connection of `dev` and `serve` comes from: a file, the environment, or the command line, which everybody on the machine can
/// read.
/// </summary>
internal static class DatabaseText
{
    public const string Variable = "DSOPS_DATABASE";

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

        return file is { Length: > 0 } ? FirstLineFile.Read("--database-file", file, Form)
            : option is { Length: > 0 } ? option : environment;
    }
}
