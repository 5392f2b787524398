using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>A secret that no command line has, since everybody may read those: the first line of a file, or the environment.</summary>
internal static class FirstLineFile
{
    public const string OidcSecret = "DSOPS_OIDC_CLIENT_SECRET";

    /// <summary>Ours: secrets and connections have a few hundred characters.</summary>
    private const int LengthMax = 16_384;

    /// <summary>Of the client at the OIDC provider. Empty: it has none.</summary>
    public static string Secret(string? file)
    {
        string? environment = Environment.GetEnvironmentVariable(OidcSecret);
        // Agents and ranks are started with our environment; it is not for them.
        Environment.SetEnvironmentVariable(OidcSecret, null);
        return file is { Length: > 0 }
            ? Read("--oidc-client-secret-file", file, "Write the client's secret into its first line.") : environment ?? "";
    }

    public static string Read(string option, string file, string form)
    {
        try
        {
            using var reader = new StreamReader(file);
            // A pipe is welcome, as `<(…)` of a shell gives it; what has no end is not read to it.
            char[] beginning = new char[LengthMax];
            int length = reader.ReadBlock(beginning);
            string[] lines = new string(beginning, 0, length).Split('\n', 2);
            return lines.Length == 1 && length == LengthMax
                ? throw new RefusalException($"{option} {file} has no line end in its first {LengthMax} characters.", form, ExitCode.Usage)
                : lines[0].Trim() is { Length: > 0 } line ? line
                : throw new RefusalException($"{option} {file} has an empty first line.", form, ExitCode.Usage);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"{option} {file} cannot be read: {e.Message}",
                "Check its path and rights; it should be readable by you alone.", ExitCode.Failed, e);
        }
    }
}
