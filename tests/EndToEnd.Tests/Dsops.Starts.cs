using System.Diagnostics;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Ways to start it that few tests need.</summary>
internal sealed partial class Dsops
{
    private string[] environment = [];

    /// <summary>`dsops dev` with these in its environment, each NAME=value.</summary>
    public static Task<Dsops> StartIn(string[] environment, params string[] devArguments) =>
        Start("dev", devArguments, environment: environment);

    /// <summary>`dsops dev` behind other words than its own.</summary>
    /// <param name="launcher">The words that start it, given the folder that its data directory is made in.</param>
    public static Task<Dsops> DevBy(Func<string, string[]> launcher, params string[] words) => Start("dev", words, launcher: launcher);

    /// <summary>A line of a shell that may mount what nobody else sees; $DSOPS in it is the program.</summary>
    public static async Task<(int Code, string Output, string Error)> WithMounts(string line)
    {
        using var process = Launch(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"],
            [line.Replace("$DSOPS", $"dotnet {Program}", StringComparison.Ordinal)]);
        return await Finished(process);
    }

    private static async Task<(int Code, string Output, string Error)> Finished(Process process)
    {
        process.StandardInput.Close();
        var standardOutput = process.StandardOutput.ReadToEndAsync();
        var standardError = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(Eventually.Patience);
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await standardOutput, await standardError);
    }
}
