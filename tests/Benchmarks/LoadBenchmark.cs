using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.EndToEnd.Tests;
using Grpc.Core;
using Grpc.Net.Client;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// What a control plane costs that 256 agents of eight ranks beat at once a second, while people look: each call's time, its CPU and its
/// memory over time, and whether anything was dropped.
/// </summary>
internal static class LoadBenchmark
{
    /// <summary>Ours: while it starts it compiles and fills what it keeps.</summary>
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan Sample = TimeSpan.FromSeconds(2);

    /// <summary>Between two calls of one user of the command line, in seconds at most.</summary>
    private const double ThinkSeconds = 2;

    private const double CoresMost = 0.5;
    private const double MemoryMost = 1024;

    /// <summary>MiB a minute that count as flat. Ours: of a gigabyte, three hours of it.</summary>
    private const double GrowthMost = 5;

    /// <param name="args">--minutes M, --agents N, --dashboards N, --cli N, --database sqlite|postgresql.</param>
    public static async Task Run(string[] args)
    {
        double minutes = double.Parse(Text(args, "--minutes", "10"), CultureInfo.InvariantCulture);
        int agents = int.Parse(Text(args, "--agents", "256"), CultureInfo.InvariantCulture);
        int dashboards = int.Parse(Text(args, "--dashboards", "50"), CultureInfo.InvariantCulture);
        int users = int.Parse(Text(args, "--cli", "20"), CultureInfo.InvariantCulture);
        string database = Text(args, "--database", "sqlite");
        Table.Title(Table.Say($"load: {agents} x 8 ranks at 1 Hz, {dashboards} dashboards, {users} users, {minutes} min on {database}"));
        await using var server = database == "postgresql"
            ? await ControlPlane.Tests.Storage.PostgresServer.Begin(CancellationToken.None)
                ?? throw new InvalidOperationException("PostgreSQL is not installed.")
            : null;
        string[] on = server is null ? [] : ["--database", await server.CreateDatabase(CancellationToken.None)];
        var calls = new Calls();
        await using var load = await LoadRun.Begin(calls, agents, on);
        using var ending = new CancellationTokenSource();
        Task[] people =
        [
            .. Enumerable.Range(0, users).Select(i => Task.Run(() => User(load, calls, i, ending.Token))),
            .. Enumerable.Range(0, dashboards).Select(i => Task.Run(() => Circuit.Watch(load.Dsops, calls, i, ending.Token))),
        ];
        await Task.Delay(WarmUp);
        await Measure(load, calls, TimeSpan.FromMinutes(minutes));
        calls.Pause();
        await ending.CancelAsync();
        await Task.WhenAll(people);
        await Dropped(load);
    }

    public static string Text(string[] args, string name, string otherwise)
    {
        int at = Array.IndexOf(args, name);
        return at < 0 ? otherwise : at + 1 < args.Length ? args[at + 1] : throw new ArgumentException($"{name} wants a value.");
    }

    /// <summary>
    /// Each step and checkpoint that was told, but the last that was on its way, is in the ledger, and so are the lines that were printed;
    /// nobody was ended or launched again.
    /// </summary>
    public static async Task Dropped(LoadRun load)
    {
        long told = load.Gang.Told;
        await Eventually.Is("all that was told is durable", TimeSpan.FromMinutes(1), () => Task.FromResult(load.Gang.Untold <= 2),
            () => Table.Say($"{load.Gang.Untold} are not"));
        BlackoutBenchmark.Print(await load.Lost(1, told - 2));
        Table.None("lines that wait at their agents", load.Gang.Answered.Values.Sum(a => load.Gang.With(() => a.Printed.Waiting)));
        Table.None("agents launched again", load.Gang.Launched - load.Agents);
        Table.None("attempts beside the first", load.Gang.Attempts.Count - 1);
        Table.None("ranks ended or told to", load.Gang.Ended.Count);
        foreach (string ended in load.Gang.Ended.Take(3))
        {
            Table.Line("", ended);
        }
    }

    private static async Task Measure(LoadRun load, Calls calls, TimeSpan length)
    {
        calls.Begin();
        var watch = Stopwatch.StartNew();
        var seen = new List<(double Minute, double Cpu, double Memory)>();
        using var look = new PeriodicTimer(Sample);
        while (watch.Elapsed < length && await look.WaitForNextTickAsync())
        {
            var (cpu, memory) = load.Cost();
            seen.Add((watch.Elapsed.TotalMinutes, cpu, memory));
        }

        calls.Print();
        foreach (var at in seen.Where((_, i) => i % Math.Max(1, seen.Count / 10) == 0 || i == seen.Count - 1))
        {
            Table.Line(Table.Say($"after {at.Minute:0.0} min"), Table.Say($"{at.Memory:0} MiB"),
                Table.Say($"{at.Cpu - seen[0].Cpu:0} CPU s"));
        }

        double cores = (seen[^1].Cpu - seen[0].Cpu) / ((seen[^1].Minute - seen[0].Minute) * 60);
        Table.Hold("cores, on average", Table.Say($"{cores:0.00}"), cores <= CoresMost, Table.Say($"at most {CoresMost}"));
        Table.Hold("memory at most", Table.Say($"{seen.Max(s => s.Memory):0} MiB"), seen.Max(s => s.Memory) <= MemoryMost,
            Table.Say($"at most {MemoryMost:0}"));
        double growth = Slope([.. seen.Skip(seen.Count / 2)]);
        Table.Hold("its growth in the second half", Table.Say($"{growth:0.0} MiB/min"), growth <= GrowthMost,
            Table.Say($"at most {GrowthMost:0}"));
        Table.None("calls that failed", calls.Failures);
    }

    /// <summary>Least squares, so that one collection of garbage does not decide.</summary>
    private static double Slope((double Minute, double Cpu, double Memory)[] seen)
    {
        double x = seen.Average(s => s.Minute), y = seen.Average(s => s.Memory);
        double over = seen.Sum(s => (s.Minute - x) * (s.Minute - x));
        return over == 0 ? 0 : seen.Sum(s => (s.Minute - x) * (s.Memory - y)) / over;
    }

    /// <summary>The calls that the verbs make; each fifth user follows a run, its events and its log instead.</summary>
    private static async Task User(LoadRun load, Calls calls, int number, CancellationToken ending)
    {
        using var channel = GrpcChannel.ForAddress(load.Dsops.Grpc);
        var client = new OpsService.OpsServiceClient(channel);
        var token = new Metadata { { "authorization", $"Bearer {load.Dsops.Token}" } };
        var random = new Random(number);
        CallOptions Soon() => new(token, TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(10), CancellationToken.None);
        (string, Func<Task<object>>)[] verbs =
        [
            ("cli: ListRuns", async () => await client.ListRunsAsync(new ListRunsRequest(), Soon())),
            ("cli: GetRun", async () => await client.GetRunAsync(new GetRunRequest { Name = LoadRun.Name }, Soon())),
            ("cli: ListEvents", async () => await client.ListEventsAsync(new ListEventsRequest { Run = LoadRun.Name }, Soon())),
            ("cli: ListIncidents", async () => await client.ListIncidentsAsync(new ListIncidentsRequest(), Soon())),
            ("cli: GetCluster", async () => await client.GetClusterAsync(new GetClusterRequest(), Soon())),
            ("cli: ListRanks", async () => await client.ListRanksAsync(new ListRanksRequest
            {
                Run = LoadRun.Name, Stage = LoadRun.Stage,
            }, Soon())),
            ("cli: ListSeries", async () => await client.ListSeriesAsync(new ListSeriesRequest { Run = LoadRun.Name }, Soon())),
            ("cli: GetHealth", async () => await client.GetHealthAsync(new GetHealthRequest(), Soon())),
        ];
        if (number % 5 == 0)
        {
            await Task.WhenAll(
                Follow(calls, "cli: WatchRun", o => client.WatchRun(new GetRunRequest { Name = LoadRun.Name }, o), token, ending),
                Follow(calls, "cli: WatchEvents", o => client.WatchEvents(new ListEventsRequest { Run = LoadRun.Name }, o), token, ending),
                Follow(calls, "cli: WatchLogs", o => client.WatchLogs(new GetLogsRequest { Run = LoadRun.Name }, o), token, ending));
            return;
        }

        while (!ending.IsCancellationRequested)
        {
            var (name, call) = verbs[random.Next(verbs.Length)];
            try
            {
                await calls.Time(name, call);
            }
            catch (RpcException)
            {
                // Counted.
            }

            await Task.Delay(TimeSpan.FromSeconds(random.NextDouble() * ThinkSeconds), ending)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>What counts is that it goes on; a stream that ends before it is ended has failed.</summary>
    private static async Task Follow<T>(
        Calls calls, string name, Func<CallOptions, AsyncServerStreamingCall<T>> open, Metadata token, CancellationToken ending)
    {
        try
        {
            using var call = open(new CallOptions(token, cancellationToken: ending));
            long last = Stopwatch.GetTimestamp();
            await foreach (var one in call.ResponseStream.ReadAllAsync(ending))
            {
                calls.Took($"{name}, between two words", Stopwatch.GetElapsedTime(last));
                last = Stopwatch.GetTimestamp();
            }

            calls.Fail(name, "the stream ended");
        }
        catch (Exception e) when (ending.IsCancellationRequested && e is RpcException or OperationCanceledException)
        {
            // It was ended.
        }
        catch (RpcException e)
        {
            calls.Fail(name, $"{e.StatusCode}: {e.Status.Detail}");
        }
    }
}
