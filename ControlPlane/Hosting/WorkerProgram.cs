using DeepSeekOps.ControlPlane.Cli;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>Where dsops-worker lies: beside a published dsops, beside the build's own output, or where DSOPS_WORKER says.</summary>
internal static class WorkerProgram
{
    private const string FileName = "dsops-worker.dll";
    private const string Override = "DSOPS_WORKER";

    public static string Find()
    {
        string[] places = [.. Places()];
        return Array.Find(places, File.Exists)
            ?? throw new RefusalException($"The worker program is not there ({places[0]}).", $"Build Worker, or name its {FileName} in {Override}.");
    }

    private static IEnumerable<string> Places()
    {
        string own = AppContext.BaseDirectory;
        yield return Path.Combine(own, "worker", FileName);
        string configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(own));
        yield return Path.GetFullPath(Path.Combine(own, "..", "..", "Worker", configuration, FileName));
        if (Environment.GetEnvironmentVariable(Override) is { Length: > 0 } named)
        {
            yield return Path.GetFullPath(named);
        }
    }
}
