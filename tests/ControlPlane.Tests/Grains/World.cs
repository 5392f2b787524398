using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Storage;
using Orleans.TestingHost;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>
/// A silo with a scripted cluster, a clock that tests move, and a ledger of lists. The silo can be killed and begun again.
/// </summary>
internal sealed class World : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private InProcessTestCluster? silos;

    public FakeTimeProvider Clock { get; } = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public DictionaryStorage Storage { get; } = new();

    public ScriptedCluster Cluster { get; }

    public ConcurrentQueue<RunEvent> Events { get; } = new();

    public ConcurrentDictionary<(StageId, long), StageCheckpoint> Checkpoints { get; } = new();

    public ConcurrentDictionary<(StageId, int Number), Incident> Incidents { get; } = new();

    public ConcurrentDictionary<(NodeId, int Number), NodeIncident> NodeIncidents { get; } = new();

    public ConcurrentDictionary<(StageId, int Attempt), Evidence> Evidence { get; } = new();

    public ConcurrentDictionary<string, RunView> Runs { get; } = new();

    public ConcurrentQueue<StepSample> Samples { get; } = new();

    public ConcurrentQueue<ExpertLoad> ExpertLoads { get; } = new();

    /// <summary>Before one is kept; what it throws, the ledger throws.</summary>
    public Action BeforeNodeIncident { get; set; } = () => { };

    public Action<Incident> BeforeIncident { get; set; } = _ => { };

    public IGrainFactory Grains => silos!.Client;

    private World() => Cluster = new ScriptedCluster(Clock, "node-0", "node-1");

    public static async Task<World> Begin()
    {
        var world = new World();
        await world.StartSilo();
        return world;
    }

    public async Task StartSilo()
    {
        var builder = new InProcessTestClusterBuilder(1);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.UseInMemoryReminderService();
            silo.AddGrains();
            silo.Services.AddSingleton<TimeProvider>(Clock);
            silo.Services.UseTimeProviderForBackgroundAreas(TimeProvider.System);
            silo.Services.AddSingleton<ITrainingCluster>(Cluster);
            silo.Services.AddSingleton(LedgerOfLists());
            silo.Services.AddSingleton<IGrainStorage>(Storage);
            silo.Services.AddKeyedSingleton<IGrainStorage>("Default", Storage);
        });
        builder.ConfigureClient(client => client.Services.AddDecisionRecords());
        silos = builder.Build();
        await silos.DeployAsync();
    }

    /// <summary>The process is gone: nothing is written, nobody is told.</summary>
    public async Task KillSilo()
    {
        foreach (var silo in silos!.Silos.ToList())
        {
            await silos.KillSiloAsync(silo);
        }

        await silos.DisposeAsync();
        silos = null;
    }

    public IRunGrain Run(string name) => Grains.GetGrain<IRunGrain>(name);

    public async Task<RunView> View(string name) => await Run(name).Describe() ?? throw new InvalidOperationException($"no run {name}");

    /// <summary>All agents beat once, and a tenth of a second passes.</summary>
    public async Task Step()
    {
        foreach (var agent in Cluster.Alive)
        {
            await agent.Beat(Grains, Clock.GetUtcNow());
        }

        Clock.Advance(TimeSpan.FromMilliseconds(100));
    }

    /// <summary>Lets the world go on until the run is as wanted.</summary>
    public async Task<RunView> Until(string name, Func<RunView, bool> wanted)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            var view = await View(name);
            if (wanted(view))
            {
                return view;
            }

            if (watch.Elapsed > Patience)
            {
                string story = string.Join("\n", Events.Select(e => $"{e.Stage} {e.Attempt} {e.Kind}: {e.Text}"));
                string stages = string.Join("\n", view.Stages.Select(s => $"{s.Name} {s.State} {s.Step}: {s.Reason}"));
                throw new TimeoutException($"{name} is {view.State}: {view.Reason}\n{stages}\n{story}");
            }

            await Step();
        }
    }

    public ScriptedAgent AgentOf(string stage) => Cluster.Alive.Single(a => a.Stage.Stage == stage);

    public IEnumerable<string> Kinds(string stage) => Events.Where(e => e.Stage == stage).Select(e => e.Kind);

    public async ValueTask DisposeAsync()
    {
        if (silos is not null)
        {
            await silos.DisposeAsync();
        }
    }

    private Ledger LedgerOfLists() => new()
    {
        AppendEvents = (events, _) =>
        {
            foreach (var told in events.Where(e => !Events.Contains(e)))
            {
                Events.Enqueue(told);
            }

            return Task.CompletedTask;
        },
        RecordCheckpoints = (stage, made, _) =>
        {
            foreach (var checkpoint in made)
            {
                Checkpoints[(stage, checkpoint.Made.Step)] = checkpoint;
            }

            return Task.CompletedTask;
        },
        RecordIncident = (incident, _) =>
        {
            BeforeIncident(incident);
            Incidents[(incident.Stage, incident.Number)] = incident;
            return Task.CompletedTask;
        },
        RecordNodeIncident = (incident, _) =>
        {
            BeforeNodeIncident();
            NodeIncidents[(incident.Node, incident.Number)] = incident;
            return Task.CompletedTask;
        },
        KeepTrace = (_, _) => Task.CompletedTask,
        RecordActs = (_, _) => Task.CompletedTask,
        KeepEvidence = (evidence, _) =>
        {
            Evidence[(evidence.Stage, evidence.Attempt)] = evidence;
            return Task.CompletedTask;
        },
        RecordRun = (run, _) =>
        {
            Runs[run.Name] = run;
            return Task.CompletedTask;
        },
        TakeSamples = (_, samples) =>
        {
            foreach (var sample in samples)
            {
                Samples.Enqueue(sample);
            }

            return Task.CompletedTask;
        },
        TakeExpertLoads = (_, loads) =>
        {
            foreach (var load in loads)
            {
                ExpertLoads.Enqueue(load);
            }

            return Task.CompletedTask;
        },
        UnfinishedRuns = _ => Task.FromResult(Runs.Values.Where(r => !r.Ended).Select(r => r.Name).ToImmutableArray()),
    };
}
