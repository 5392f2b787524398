using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`--faults`: a published mix by its name, or a trace of real machines.</summary>
internal static class FaultsOption
{
    private const string Trace = "trace:";

    /// <summary>The trace of 400 machines over a year has 40 kB.</summary>
    private const int BytesMax = 64 << 20;

    public static async Task<(FaultMix Mix, FaultTrace? Trace)> Of(string value, CancellationToken cancellation)
    {
        if (!value.StartsWith(Trace, StringComparison.Ordinal))
        {
            return (FaultMix.All.FirstOrDefault(m => m.Name == value) ?? throw new RefusalException(
                $"--faults is '{value}'. Must be one of: {string.Join(", ", FaultMix.All.Select(m => $"'{m.Name}'"))}, or trace:FILE.csv.",
                "See `dsops simulate --help`.", ExitCode.Usage), null);
        }

        string path = value[Trace.Length..];
        string text;
        try
        {
            text = await FileLooks.ReadText(path, BytesMax, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            throw new RefusalException($"--faults names '{path}', which cannot be read: {e.Message}",
                "Name a CSV file with the columns start_days, end_days and node.", cause: e);
        }

        var (trace, problems) = FaultTrace.Parse(Path.GetFileNameWithoutExtension(path), text);
        return trace is null
            ? throw new RefusalException($"'{path}' is not a trace of faults: {string.Join("; ", problems)}.",
                "Give CSV with a head: start_days, end_days, node and, if there is one, class.")
            : (FaultMix.None with
            {
                Name = value,
                Source = $"{trace.Faults.Length} faults of {trace.Nodes} machines in {trace.Name}",
            }, trace);
    }

    public static void RequireMachines(FaultTrace? trace, int machines)
    {
        if (trace is not null && trace.Nodes > machines)
        {
            throw new RefusalException($"The trace has {trace.Nodes} machines; the cluster has {machines}.",
                $"Give --nodes {trace.Nodes} or more.");
        }
    }
}
