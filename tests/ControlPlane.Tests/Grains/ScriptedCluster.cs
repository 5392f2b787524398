using System.Collections.Concurrent;
using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>A cluster in memory: its pods are <see cref="ScriptedAgent"/>s that train by counting, and fail when a test says so.</summary>
internal sealed class ScriptedCluster(TimeProvider clock, params string[] nodes) : ITrainingCluster
{
    private readonly Lock gate = new();
    private readonly List<ScriptedAgent> agents = [];

    public string Kind => "local";

    public bool Simulated => false;

    public ConcurrentDictionary<string, NodeHealth> Health { get; } = [];

    /// <summary>While set, the cluster cannot be asked.</summary>
    public bool Blind { get; set; }

    /// <summary>What each look at the cluster waits for.</summary>
    public Func<Task> BeforeLook { get; set; } = () => Task.CompletedTask;

    /// <summary>Why no pod can be made; null: they can.</summary>
    public string? Refuses { get; set; }

    /// <summary>What lies in stages' checkpoint folders; of others it cannot be seen.</summary>
    public ConcurrentDictionary<StageId, StageFolder> Folders { get; } = [];

    public Task<StageFolder?> LookAtCheckpoints(StageId stage, CancellationToken cancellation) =>
        Task.FromResult(Folders.GetValueOrDefault(stage));

    public ImmutableArray<ScriptedAgent> Agents
    {
        get
        {
            lock (gate)
            {
                return [.. agents];
            }
        }
    }

    public ImmutableArray<ScriptedAgent> Alive => [.. Agents.Where(a => a.Alive)];

    public async Task<ClusterSnapshot> Observe(CancellationToken cancellation)
    {
        await BeforeLook();
        if (Blind)
        {
            throw new HttpRequestException("the cluster does not answer");
        }

        var seen = nodes.Select(n => new NodeSeen(new NodeId(n), Health.GetValueOrDefault(n, NodeHealth.Ready), "", 1,
            ImmutableDictionary<string, string>.Empty));
        var pods = Agents.Where(a => !a.Removed).Select(a => new PodSeen(a.Gang, a.Node, a.Alive ? PodPhase.Running : PodPhase.Exited,
            a.Pid, a.ExitCode, ""));
        return new ClusterSnapshot([.. seen], [.. pods], clock.GetUtcNow());
    }

    public Task CreatePods(GangGrant gang, CancellationToken cancellation)
    {
        if (Refuses is { } why)
        {
            throw new IOException(why);
        }

        lock (gate)
        {
            foreach (var node in gang.Nodes.Where(n => !agents.Any(a => a.Gang == gang.Id && a.Node == n)))
            {
                agents.Add(new ScriptedAgent(gang.Id, node, 1000 + agents.Count));
            }
        }

        return Task.CompletedTask;
    }

    public Task<bool> DeletePods(GangId gang, ImmutableArray<NodeId> nodes, string reason, CancellationToken cancellation)
    {
        foreach (var agent in Agents.Where(a => a.Gang == gang && (nodes.IsEmpty || nodes.Contains(a.Node))))
        {
            agent.End(137);
            agent.Removed = true;
        }

        return Task.FromResult(true);
    }

    public async Task<ImmutableArray<PodSeen>> FenceAllBut(
        Func<CancellationToken, Task<ImmutableHashSet<GangId>>> wanted, CancellationToken cancellation)
    {
        var there = Alive.ToList();
        var kept = await wanted(cancellation);
        var left = there.Where(a => !kept.Contains(a.Gang)).ToList();
        left.ForEach(a => a.End(137));
        return [.. left.Select(a => new PodSeen(a.Gang, a.Node, PodPhase.Exited, a.Pid, 137, "leftover"))];
    }
}
