using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
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
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-scripted-").FullName;
    private readonly CancellationTokenSource ending = new();
    private readonly ConcurrentDictionary<string, Task> played = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, TimeSpan> heard = new(StringComparer.Ordinal);
    private readonly Calls calls;
    private readonly string controlFile;
    private readonly Lock gate = new();
    private readonly Task watch;
    private GrpcChannel? channel;
    private string address = "";
    private long? trainsSince;
    private long listensSince = Stopwatch.GetTimestamp();
    private int formed;

    /// <param name="dataDirectory">Of the control plane that launches it.</param>
    /// <param name="worker">The real worker, for whatever else than an agent is asked of it.</param>
    public ScriptedGang(Calls calls, string dataDirectory, string worker)
    {
        this.calls = calls;
        controlFile = Path.Combine(dataDirectory, "control-plane.json");
        Program = Path.Combine(folder, "agent");
        File.WriteAllText(Program, $$"""
            #!/bin/sh
            [ "$1" = agent ] || exec dotnet '{{worker}}' "$@"
            { echo "$DSOPS_AGENT_TOKEN"; printf '%s\n' "$@"; } > '{{folder}}/'$$.aside
            mv '{{folder}}/'$$.aside '{{folder}}/'$$.agent
            exec sleep 36000

            """);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(Program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        watch = Watch();
    }

    /// <summary>The stand-in: what the control plane is to take for its worker program.</summary>
    public string Program { get; }

    /// <summary>Nodes whose calls reach nobody.</summary>
    public ImmutableHashSet<string> Parted { get; set; } = [];

    public int Agents => played.Count(p => !p.Value.IsCompleted);

    /// <summary>Stand-ins that were ever launched; more than nodes means that something was launched again.</summary>
    public int Launched => played.Count;

    public int Formed => formed;

    /// <summary>Those that were ever answered, by node.</summary>
    public ConcurrentDictionary<string, Agent> Answered { get; } = new(StringComparer.Ordinal);

    /// <summary>Where the agent is that tells of the steps.</summary>
    public string FirstNode { get; private set; } = "";

    /// <summary>Orders to end, and stand-ins that were ended: each is work lost.</summary>
    public ConcurrentQueue<string> Ended { get; } = [];

    public ConcurrentDictionary<int, bool> Attempts { get; } = [];

    /// <summary>The newest step that rank 0 has told, and what of it, and of its checkpoints, nobody has said to be durable.</summary>
    public long Told { get; private set; }

    public int Untold { get; private set; }

    /// <summary>Since <see cref="Listen"/>: when each agent was answered first by somebody who decides.</summary>
    public IReadOnlyCollection<TimeSpan> Heard => [.. heard.Values];

    public void Listen()
    {
        listensSince = Stopwatch.GetTimestamp();
        heard.Clear();
    }

    public bool IsParted(string node) => Parted.Contains(node);

    /// <summary>What agents know of themselves is asked and changed by one at a time.</summary>
    public T With<T>(Func<T> look)
    {
        lock (gate)
        {
            return look();
        }
    }

    public void With(Action change)
    {
        lock (gate)
        {
            change();
        }
    }

    public HeartbeatRequest Beat(Agent agent)
    {
        lock (gate)
        {
            long step = trainsSince is { } since ? (long)Stopwatch.GetElapsedTime(since).TotalSeconds : 0;
            if (agent.Ranks.Contains(0))
            {
                (FirstNode, Told) = (agent.Node, step);
            }

            return agent.Beat(step);
        }
    }

    public void Obey(Agent agent, WorkerReply reply)
    {
        lock (gate)
        {
            Answered[agent.Node] = agent;
            agent.Acknowledge(reply.Acknowledged);
            Untold = agent.Ranks.Contains(0) ? agent.Untold : Untold;
            if (reply.Undecided.Length == 0)
            {
                heard.TryAdd(agent.Node, Stopwatch.GetElapsedTime(listensSince));
            }

            if (reply.Read is { } read)
            {
                agent.Read(read);
            }

            Obey(agent, reply.Order);
        }
    }

    /// <summary>To where the control plane says that it is.</summary>
    public WorkerService.WorkerServiceClient Client()
    {
        lock (gate)
        {
            string now = Address() ?? throw new RpcException(new Status(StatusCode.Unavailable, "there is no control plane"));
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

    private async Task Play(string file)
    {
        string[] told = File.ReadAllLines(file);
        int pid = int.Parse(Path.GetFileNameWithoutExtension(file), CultureInfo.InvariantCulture);
        string Of(string name) => told[Array.IndexOf(told, name) + 1];
        var agent = new Agent(Of("--node"), Guid.NewGuid().ToString("N"), pid, new AttemptRef
        {
            Run = Of("--run"), Stage = Of("--stage"), Attempt = int.Parse(Of("--gang"), CultureInfo.InvariantCulture),
        });
        await new AgentContact(this, agent, pid, told[0], calls).Run(ending.Token);
    }

    private string? Address()
    {
        try
        {
            return File.Exists(controlFile) ? (string?)JsonNode.Parse(File.ReadAllText(controlFile))?["grpc"] : null;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            // It is being written or taken away just now.
            return null;
        }
    }

    private void Obey(Agent agent, Order order)
    {
        switch (agent.Order = order.KindCase)
        {
            case Order.KindOneofCase.Start when agent.Trains:
                Ended.Enqueue($"{agent.Node}: told to start ranks that train");
                break;
            case Order.KindOneofCase.Start:
                agent.Launch(order.Start.Assignment);
                Attempts[order.Start.Assignment.Attempt.Attempt] = true;
                break;
            case Order.KindOneofCase.RestartRanks:
                Ended.Enqueue($"{agent.Node}: told to restart its ranks: {order.RestartRanks.Reason}");
                Attempts[order.RestartRanks.Assignment.Attempt.Attempt] = true;
                break;
            case Order.KindOneofCase.RollBack:
                Ended.Enqueue($"{agent.Node}: told to roll back: {order.RollBack.Reason}");
                break;
            case Order.KindOneofCase.Stop:
                Ended.Enqueue($"{agent.Node}: told to stop: {order.Stop.Reason}");
                break;
            case Order.KindOneofCase.Form when !agent.Trains:
                agent.Meet();
                formed++;
                trainsSince ??= Stopwatch.GetTimestamp();
                break;
            default:
                break;
        }
    }
}
