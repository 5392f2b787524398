using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>What agents told and the ledger has not.</summary>
/// <param name="Steps">Those that it has not exactly once.</param>
/// <param name="Lines">That were said to be stored, of the first ranks of a few nodes.</param>
internal sealed record LostReports(IReadOnlyList<long> Steps, IReadOnlyList<long> Checkpoints, long Lines)
{
    public bool Nothing => Steps.Count == 0 && Checkpoints.Count == 0 && Lines == 0;
}

/// <summary>A real `dsops dev` on loopback, in its own process, and a gang of scripted agents in ours that it has launched.</summary>
internal sealed class LoadRun : IAsyncDisposable
{
    public const string Name = "load";
    public const string Stage = "pretrain";

    private const int RanksPerNode = 8;
    private const int SequenceLength = 64;
    private const int Steps = 100_000;

    /// <summary>Each is asked for all of its lines.</summary>
    private const int NodesWhoseLinesAreCounted = 8;

    private static readonly TimeSpan Within = TimeSpan.FromMinutes(4);

    private readonly string folder;

    private LoadRun(Dsops dsops, ScriptedGang gang, int agents, string folder) =>
        (Dsops, Gang, Agents, this.folder) = (dsops, gang, agents, folder);

    /// <summary>Of the largest gang that it is asked for; nothing is reckoned from it.</summary>
    public static long TokensOfStep => 256 * RanksPerNode * SequenceLength;

    public Dsops Dsops { get; }

    public ScriptedGang Gang { get; }

    public int Agents { get; }

    /// <param name="database">Further words for `dsops dev`.</param>
    public static async Task<LoadRun> Begin(Calls calls, int agents, params string[] database)
    {
        string release = Path.Combine(AppContext.BaseDirectory, "../..");
        string folder = Directory.CreateTempSubdirectory("dsops-load-").FullName;
        ScriptedGang? gang = null;
        try
        {
            var dsops = await Dsops.DevBy(
                own =>
                {
                    gang = new ScriptedGang(calls, Path.Combine(own, "dsops"),
                        Path.GetFullPath(Path.Combine(release, "Worker/release/dsops-worker.dll")));
                    // As people have it: compiled again where it is hot.
                    return ["env", "-u", "DOTNET_TC_CallCountThreshold", "-u", "DOTNET_TieredPGO", $"DSOPS_WORKER={gang.Program}", "dotnet",
                        Path.GetFullPath(Path.Combine(release, "ControlPlane/release/dsops.dll"))];
                },
                ["--nodes", Say(agents), "--ranks-per-node", Say(RanksPerNode), .. database]);
            var run = new LoadRun(dsops, gang!, agents, folder);
            await run.Submit();
            return run;
        }
        catch
        {
            gang?.Dispose();
            throw;
        }
    }

    /// <summary>CPU seconds of the control plane, and its resident memory in MiB.</summary>
    public (double Cpu, double Memory) Cost()
    {
        using var process = Process.GetProcessById(Dsops.Pid);
        return (process.TotalProcessorTime.TotalSeconds, process.WorkingSet64 / (double)(1 << 20));
    }

    /// <summary>Of the steps from one to another, both of which were told.</summary>
    public async Task<LostReports> Lost(long from, long to)
    {
        string csv = await Text($"series/export.csv?run={Name}&stage={Stage}&names=loss");
        var steps = csv.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line => line.Split(','))
            .Where(c => c[5].Trim().Length > 0).CountBy(c => long.Parse(c[2], CultureInfo.InvariantCulture)).ToDictionary();
        var saved = (await Ask($"v1/runs/{Name}/checkpoints"))["checkpoints"]!.AsArray().Select(c => (long)c!["step"]!).ToHashSet();
        long lines = 0;
        foreach (var (rank, stored, _) in Gang.Answered.Values.Select(a => Gang.With(() => a.Printed)).OrderBy(p => p.Rank)
            .Take(NodesWhoseLinesAreCounted))
        {
            var kept = (await Ask(Table.Say($"v1/runs/{Name}/logs?rank={rank}&tail=2000")))["entries"]!.AsArray()
                .Select(e => (long?)e!["line"] ?? 0).Where(n => n < stored).Distinct();
            lines += stored - kept.LongCount();
        }

        long[] all = [.. Enumerable.Range((int)from, (int)(to - from + 1))];
        return new LostReports([.. all.Where(s => steps.GetValueOrDefault(s) != 1)],
            [.. all.Where(s => s % Agent.SaveEvery == 0 && !saved.Contains(s))], lines);
    }

    public async Task<JsonNode> Ask(string path) => JsonNode.Parse(await Text(path))!;

    public async ValueTask DisposeAsync()
    {
        // Without its agents there is nobody who could save, and nobody to wait for.
        Gang.Dispose();
        await Dsops.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private async Task<string> Text(string path)
    {
        using var http = new HttpClient { BaseAddress = new Uri(Dsops.Http) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", Dsops.Token);
        return await http.GetStringAsync(new Uri(path, UriKind.Relative));
    }

    private static string Say(int number) => number.ToString(CultureInfo.InvariantCulture);

    private async Task Submit()
    {
        int batch = Agents * RanksPerNode;
        string text = TinyPipeline.Pretraining(Name, Steps, everySteps: Agent.SaveEvery)
            .Replace("nodes: 1, ranksPerNode: 1", $"nodes: {Agents}, ranksPerNode: {RanksPerNode}", StringComparison.Ordinal)
            .Replace("kind: pretraining", "kind: pretraining\n    parallelism: {expert: 8}", StringComparison.Ordinal)
            .Replace("batchSize: {from: 8, to: 8, over: 0}",
                $"batchSize: {{from: {batch}, to: {batch}, over: 0}}", StringComparison.Ordinal)
            .Replace(Say(Steps * 8 * 64), (Steps * (long)batch * 64).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        long began = Stopwatch.GetTimestamp();
        await Dsops.Submit(text);
        await Eventually.Is($"{Agents} agents are here", Within, () => Task.FromResult(Gang.Agents == Agents), () => Dsops.Evidence);
        var launched = Stopwatch.GetElapsedTime(began);
        await Eventually.Is("all ranks have met", Within, () => Task.FromResult(Gang.Formed == Agents),
            () => $"{Gang.Formed} of {Agents}; {string.Join("; ", Gang.Ended.Take(5))}{Environment.NewLine}{Dsops.Evidence}");
        var formed = Stopwatch.GetElapsedTime(began);
        await Dsops.UntilStage(Name, Stage, "trains", Within, s => (string?)s["state"] == "running" && (long)s["step"]! > 0);
        Table.Line("submitted until all are launched, have met, train",
            Table.Say($"{launched.TotalSeconds:0.0}, {formed.TotalSeconds:0.0}, {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s"));
    }
}
