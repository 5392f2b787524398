using System.Collections.Concurrent;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

/// <summary>What agents told, over all starts of the control plane of a test; and what it answers them.</summary>
public sealed class TestLedger
{
    private readonly Lock _changing = new();
    private readonly List<(Predicate<TestLedger> When, TaskCompletionSource Done)> _waits = [];

    public List<RegisterRequest> Registrations { get; } = [];

    /// <summary>What calls showed of who they are, each once.</summary>
    public HashSet<string> Tokens { get; } = [];

    public List<HeartbeatRequest> Beats { get; } = [];

    /// <summary>Samples in the order of their first arrival; a repeat is known by attempt and step, as the ledger does it.</summary>
    public List<StepSample> Samples { get; } = [];

    public List<CheckpointReport> Checkpoints { get; } = [];

    public SortedDictionary<(int Attempt, int Rank, long Line), string> Lines { get; } = [];

    public IReadOnlyList<RankStatus> Ranks => Beats.Count > 0 ? [.. Beats[^1].Ranks] : [];

    /// <summary>Given with every reply until it is changed.</summary>
    public Order Order { get; set; } = new() { Continue = new Continue() };

    /// <summary>Said with every reply: the order is no decision.</summary>
    public string Undecided { get; set; } = "";

    public string? RefuseWith { get; set; }

    /// <summary>A checkpoint that agents are to read again; said with every reply.</summary>
    public ReadOrder? Read { get; set; }

    /// <summary>Lines of ranks are refused: not found, as those of an attempt that nobody knows are, or with their store away.</summary>
    public StatusCode? RefusesLinesWith { get; set; }

    /// <summary>Said with that refusal: seconds after which they would be taken.</summary>
    public string? LinesAfter { get; set; }

    /// <summary>Batches of lines that were refused.</summary>
    public int NotTaken { get; private set; }

    public T Do<T>(Func<TestLedger, T> act)
    {
        lock (_changing)
        {
            var result = act(this);
            foreach (var wait in _waits.Where(w => w.When(this)).ToList())
            {
                _waits.Remove(wait);
                wait.Done.SetResult();
            }

            return result;
        }
    }

    /// <summary>Completes as soon as a call of an agent made it true.</summary>
    public async Task Until(Predicate<TestLedger> when, string what)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_changing)
        {
            if (when(this))
            {
                return;
            }

            _waits.Add((when, done));
        }

        try
        {
            await done.Task.WaitAsync(TimeSpan.FromMinutes(5), TestContext.Current.CancellationToken);
        }
        catch (TimeoutException)
        {
            string ranks = Do(l => string.Join("; ", l.Ranks.Select(r => r.ToString())));
            throw new TimeoutException($"waited for: {what}. Ranks: {ranks}");
        }
    }

    public WorkerReply Take(RegisterRequest request) => Do(l =>
    {
        if (l.RefuseWith is { } message)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, message));
        }

        l.Registrations.Add(request);
        return Reply(0);
    });

    public WorkerReply Take(HeartbeatRequest beat) => Do(l =>
    {
        l.Beats.Add(beat);
        l.Samples.AddRange(beat.Samples.Where(s => l.Samples.All(k => (k.Attempt, k.Step) != (s.Attempt, s.Step))));
        l.Checkpoints.AddRange(beat.Checkpoints.Where(c => l.Checkpoints.All(k => (k.Attempt, k.Step) != (c.Attempt, c.Step))));
        return Reply(beat.Sequence);
    });

    public WorkerReply Take(LogBatch batch) => Do(l =>
    {
        if (l.RefusesLinesWith is { } code)
        {
            l.NotTaken++;
            throw new RpcException(new Status(code, "these lines cannot be kept"), LinesAfter is { } after
                ? new Metadata { { "retry-after", after } } : []);
        }

        for (int i = 0; i < batch.Lines.Count; i++)
        {
            l.Lines[(batch.Attempt.Attempt, batch.Rank, batch.FirstLine + i)] = batch.Lines[i].Text;
        }

        return Reply(0);
    });

    private WorkerReply Reply(long acknowledged) => new()
    {
        Order = Order,
        BeatEvery = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(200)),
        Acknowledged = acknowledged,
        Undecided = Undecided,
        Read = Read,
    };
}

/// <summary>A control plane as agents see it: the real wire on a free port of the loopback.</summary>
public sealed class TestControlPlane : WorkerService.WorkerServiceBase
{
    private readonly TestLedger _ledger;

    public TestControlPlane(TestLedger ledger) => _ledger = ledger;

    public override Task<WorkerReply> Register(RegisterRequest request, ServerCallContext context)
    {
        See(context);
        return Task.FromResult(_ledger.Take(request));
    }

    public override Task<WorkerReply> Heartbeat(HeartbeatRequest request, ServerCallContext context)
    {
        See(context);
        return Task.FromResult(_ledger.Take(request));
    }

    public override Task<WorkerReply> ReportLogs(LogBatch request, ServerCallContext context)
    {
        See(context);
        return Task.FromResult(_ledger.Take(request));
    }

    private void See(ServerCallContext context) => _ledger.Do(l => l.Tokens.Add(context.RequestHeaders.GetValue("authorization") ?? ""));

    /// <summary>Starts on another port each time, and writes it where agents look.</summary>
    public static async Task<WebApplication> Start(TestLedger ledger, string controlFile)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(System.Net.IPAddress.Loopback, 0, l => l.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(ledger);
        var app = builder.Build();
        app.MapGrpcService<TestControlPlane>();
        await app.StartAsync();
        string address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()?.Addresses.First()
            ?? throw new InvalidOperationException("Kestrel says no address");
        await File.WriteAllTextAsync(controlFile, $$"""{"grpc": "{{address}}"}""");
        return app;
    }
}
