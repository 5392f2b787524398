using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// Agents that speak the real protocol for ranks that are not there. The control plane launches a stand-in for each, a shell that notes how
/// it was called and sleeps; its agent is played here for as long as it lives. Of a gang whose ranks have all met, each makes a step a
/// second, and rank 0 keeps a step until it is told that it is durable.
/// </summary>
internal sealed class ScriptedGang : IDisposable
{
    private const int Protocol = 1;

    private static readonly TimeSpan CallTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-scripted-").FullName;
    private readonly CancellationTokenSource ending = new();
    private readonly ConcurrentDictionary<string, Task> played = new(StringComparer.Ordinal);
    private readonly Calls calls;
    private readonly string controlFile;
    private readonly Lock gate = new();
    private readonly Task watch;
    private GrpcChannel? channel;
    private string address = "";
    private long? trainsSince;
    private int formed;

    /// <param name="variable">Where the control plane finds its worker program: this gang's stand-in.</param>
    public ScriptedGang(Calls calls, string dataDirectory, string variable, string worker)
    {
        this.calls = calls;
        controlFile = Path.Combine(dataDirectory, "control-plane.json");
        string program = Path.Combine(folder, "agent");
        File.WriteAllText(program, $$"""
            #!/bin/sh
            [ "$1" = agent ] || exec dotnet '{{worker}}' "$@"
            { echo "$DSOPS_AGENT_TOKEN"; printf '%s\n' "$@"; } > '{{folder}}/'$$.aside
            mv '{{folder}}/'$$.aside '{{folder}}/'$$.agent
            exec sleep 36000

            """);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        Environment.SetEnvironmentVariable(variable, program);
        watch = Watch();
    }

    /// <summary>Nobody reaches anybody: calls fail at once, as they do when a network is gone.</summary>
    public bool Parted { get; set; }

    public int Agents => played.Count(p => !p.Value.IsCompleted);

    /// <summary>Stand-ins that were ever launched; more than nodes means that something was launched again.</summary>
    public int Launched => played.Count;

    public int Formed => formed;

    /// <summary>Orders to end, and stand-ins that were ended: each is work lost.</summary>
    public ConcurrentQueue<string> Ended { get; } = [];

    public ConcurrentDictionary<int, bool> Attempts { get; } = [];

    /// <summary>The newest step that rank 0 has told, and those of it that nobody has said to be durable.</summary>
    public long Told { get; private set; }

    public int Untold { get; private set; }

    public void Dispose()
    {
        ending.Cancel();
        Task.WaitAll([watch, .. played.Values], TimeSpan.FromSeconds(10));
        channel?.Dispose();
        ending.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private async Task Watch()
    {
        while (!ending.IsCancellationRequested)
        {
            foreach (string file in Directory.GetFiles(folder, "*.agent"))
            {
                _ = played.GetOrAdd(file, f => Task.Run(() => Play(f)));
            }

            await Task.Delay(Look, ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private WorkerService.WorkerServiceClient Client()
    {
        if (Parted)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "the network is parted"));
        }

        lock (gate)
        {
            string? now = File.Exists(controlFile)
                ? (string?)System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(controlFile))?["grpc"] : null;
            if (now is null)
            {
                throw new RpcException(new Status(StatusCode.Unavailable, "there is no control plane"));
            }

            if (channel is null || now != address)
            {
                channel?.Dispose();
                // As a network has them: each agent has a connection of its own on machines; here some share one.
                channel = GrpcChannel.ForAddress(now, new GrpcChannelOptions
                {
                    HttpHandler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true }, DisposeHttpClient = true,
                });
                address = now;
            }

            return new WorkerService.WorkerServiceClient(channel);
        }
    }

    private async Task Play(string file)
    {
        string[] told = File.ReadAllLines(file);
        int pid = int.Parse(Path.GetFileNameWithoutExtension(file), CultureInfo.InvariantCulture);
        string Of(string name) => told[Array.IndexOf(told, name) + 1];
        var agent = new Agent(Of("--node"), Guid.NewGuid().ToString("N"), pid, new AttemptRef
        {
            Run = Of("--run"), Stage = Of("--stage"), Attempt = int.Parse(Of("--gang"), CultureInfo.InvariantCulture),
        });
        var token = new Metadata { { "authorization", $"Bearer {told[0]}" } };
        bool registered = false;
        var lastContact = Stopwatch.StartNew();
        // Whoever begins together does not beat together.
        await Task.Delay(TimeSpan.FromMilliseconds(1000 * (pid % 97) / 97), ending.Token)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (!ending.IsCancellationRequested && agent.Order is not Order.KindOneofCase.Stop)
        {
            if (!EndToEnd.Tests.Dsops.IsAlive(pid))
            {
                Ended.Enqueue($"{agent.Node}: its process was ended");
                return;
            }

            var pause = TimeSpan.FromSeconds(1);
            try
            {
                var how = new CallOptions(token, TimeProvider.System.GetUtcNow().UtcDateTime + CallTime);
                WorkerReply reply;
                if (!registered)
                {
                    var request = agent.Register(Protocol, lastContact.Elapsed);
                    reply = await calls.Time("agents: Register", () => Client().RegisterAsync(request, how).ResponseAsync);
                    registered = true;
                }
                else
                {
                    var beat = Beat(agent);
                    reply = await calls.Time("agents: Heartbeat", () => Client().HeartbeatAsync(beat, how).ResponseAsync);
                }

                lastContact.Restart();
                pause = reply.BeatEvery?.ToTimeSpan() ?? pause;
                Obey(agent, reply);
            }
            catch (RpcException)
            {
                registered = false;
            }

            await Task.Delay(pause, ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private HeartbeatRequest Beat(Agent agent)
    {
        lock (gate)
        {
            long step = trainsSince is { } since ? (long)Stopwatch.GetElapsedTime(since).TotalSeconds : 0;
            var beat = agent.Beat(step);
            if (agent.Ranks.Contains(0))
            {
                agent.TrainTo(step);
                beat.Samples.AddRange(agent.Samples.Select(s => s.Sample));
                Told = step;
            }

            return beat;
        }
    }

    private void Obey(Agent agent, WorkerReply reply)
    {
        lock (gate)
        {
            agent.Acknowledge(reply.Acknowledged);
            Untold = agent.Ranks.Contains(0) ? agent.Samples.Count : Untold;
            switch (agent.Order = reply.Order.KindCase)
            {
                case Order.KindOneofCase.Start:
                    agent.Launch(reply.Order.Start.Assignment);
                    Attempts[reply.Order.Start.Assignment.Attempt.Attempt] = true;
                    break;
                case Order.KindOneofCase.RestartRanks:
                    Ended.Enqueue($"{agent.Node}: told to restart its ranks: {reply.Order.RestartRanks.Reason}");
                    Attempts[reply.Order.RestartRanks.Assignment.Attempt.Attempt] = true;
                    break;
                case Order.KindOneofCase.RollBack:
                    Ended.Enqueue($"{agent.Node}: told to roll back: {reply.Order.RollBack.Reason}");
                    break;
                case Order.KindOneofCase.Stop:
                    Ended.Enqueue($"{agent.Node}: told to stop: {reply.Order.Stop.Reason}");
                    break;
                case Order.KindOneofCase.Form when !agent.Trains:
                    agent.Trains = true;
                    formed++;
                    trainsSince ??= Stopwatch.GetTimestamp();
                    break;
                default:
                    break;
            }
        }
    }
}
