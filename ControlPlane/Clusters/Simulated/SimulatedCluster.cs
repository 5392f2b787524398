using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;
using Microsoft.Extensions.Options;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>
/// Nodes, pods and agents in memory, on a clock that may run faster. It begins anew with each control plane: what ran is then brought
/// back from its last checkpoint, as after the loss of a site.
/// </summary>
public sealed partial class SimulatedCluster : ITrainingCluster
{
    /// <summary>From a pod's creation until its container runs, with the image on the node: ours.</summary>
    private const double PodStartSecondsMin = 3;
    private const double PodStartSecondsMax = 20;

    private readonly Lock holding = new();
    private readonly SimulatedClusterOptions options;
    private readonly TimeProvider clock;
    private long looked;
    private double passed;
    private readonly Random random;
    private readonly ImmutableArray<NodeSeen> fabric;
    private readonly Dictionary<NodeId, (string Reason, double Until)> broken = [];
    private readonly Dictionary<GangId, SimulatedGang> gangs = [];
    private double lastTurn;
    private int podsMade;

    public SimulatedCluster(IOptions<SimulatedClusterOptions> options, TimeProvider clock)
    {
        this.options = options.Value;
        this.clock = clock;
        looked = clock.GetTimestamp();
        random = new Random(this.options.Seed);
        fabric = Fabric.Build(Fabric.Presets[this.options.Fabric], this.options.Nodes);
    }

    public string Kind => "simulated";

    public bool Simulated => true;

    public NodeFaults? Faults => new(Kill, Heal, Hide);

    public double TimeFactor => options.TimeFactor;

    /// <summary>For views: from what its figures grow.</summary>
    public string InWords => string.Create(CultureInfo.InvariantCulture,
        $"faults {options.Faults.Name} ({options.Faults.PerThousandNodeDays} per 1,000 node-days; {options.Faults.Source}), seed "
            + $"{options.Seed}, time x {options.TimeFactor:0.##}");

    /// <summary>
    /// Simulated seconds. The world stands while this process does: a stop of ours, times the factor, would look like hours of silence.
    /// </summary>
    private double Now
    {
        get
        {
            long now = clock.GetTimestamp();
            var since = clock.GetElapsedTime(looked, now);
            looked = now;
            return passed += since > Wakefulness.Late ? 0 : since.TotalSeconds * options.TimeFactor;
        }
    }

    public Task<ClusterSnapshot> Observe(CancellationToken cancellation)
    {
        lock (holding)
        {
            double now = Now;
            var pods = gangs.Values.SelectMany(g => g.Pods).Select(p => p.Seen(now)).ToImmutableArray();
            var nodes = broken.Count == 0 ? fabric
                : [.. fabric.Select(
                    n => broken.TryGetValue(n.Id, out var b) ? n with { Health = NodeHealth.NotReady, Reason = b.Reason } : n)];
            return Task.FromResult(new ClusterSnapshot(nodes, pods, clock.GetUtcNow()) { DealsUnevenly = true });
        }
    }

    public Task CreatePods(GangGrant gang, CancellationToken cancellation)
    {
        lock (holding)
        {
            var made = gangs.TryGetValue(gang.Id, out var there) ? there : gangs[gang.Id] = new SimulatedGang(gang.Stage);
            made.Pods.AddRange(gang.Nodes.Except(made.Pods.Select(p => p.Node)).ToList().Select(node => new SimulatedPod(made, gang.Id,
                node, ++podsMade, Now + PodStartSecondsMin + (random.NextDouble() * (PodStartSecondsMax - PodStartSecondsMin)),
                () => Now)));
        }

        return Task.CompletedTask;
    }

    public Task<bool> DeletePods(GangId gang, ImmutableArray<NodeId> nodes, string reason, CancellationToken cancellation)
    {
        lock (holding)
        {
            if (nodes.IsEmpty)
            {
                gangs.Remove(gang);
            }
            else if (gangs.TryGetValue(gang, out var some))
            {
                some.Pods.RemoveAll(p => nodes.Contains(p.Node));
            }
        }

        return Task.FromResult(true);
    }

    public async Task<ImmutableArray<PodSeen>> FenceAllBut(
        Func<CancellationToken, Task<ImmutableHashSet<GangId>>> wanted, CancellationToken cancellation)
    {
        ImmutableHashSet<GangId> seen;
        lock (holding)
        {
            seen = [.. gangs.Keys];
        }

        return EndLeftovers(seen.Except(await wanted(cancellation)));
    }

    private ImmutableArray<PodSeen> EndLeftovers(ImmutableHashSet<GangId> over)
    {
        lock (holding)
        {
            var leftovers = gangs.Where(g => over.Contains(g.Key)).ToImmutableArray();
            var seen = leftovers.SelectMany(g => g.Value.Pods).Select(p => p.Seen(Now)).ToImmutableArray();
            foreach (var (key, _) in leftovers)
            {
                gangs.Remove(key);
            }

            return seen;
        }
    }

    /// <summary>False: there is no such node.</summary>
    public bool Kill(NodeId node, string reason)
    {
        lock (holding)
        {
            return fabric.Any(n => n.Id == node) && Break(node, reason, double.PositiveInfinity);
        }
    }

    /// <inheritdoc cref="Kill"/>
    public bool Heal(NodeId node)
    {
        lock (holding)
        {
            broken.Remove(node);
            hidden.Remove(node);
            return fabric.Any(n => n.Id == node);
        }
    }

    /// <summary>Lets time pass up to now, and says what agents tell of it.</summary>
    internal ImmutableArray<SimulatedWord> Turn()
    {
        lock (holding)
        {
            double now = Now;
            Wear(now - lastTurn, now);
            lastTurn = now;
            var words = ImmutableArray.CreateBuilder<SimulatedWord>();
            foreach (var gang in gangs.Values)
            {
                gang.Advance(now, clock.GetUtcNow(), random);
                foreach (var pod in gang.Pods.Where(p => p.ExitCode is null && now >= p.StartsAt))
                {
                    words.Add(pod.Registered ? new SimulatedWord(pod, null, pod.Beat()) : new SimulatedWord(pod, pod.Registration(), null));
                }
            }

            return words.ToImmutable();
        }
    }

    /// <summary>What an agent was answered.</summary>
    internal void Obey(SimulatedWord word, WorkerReply reply)
    {
        lock (holding)
        {
            word.Pod.Take(reply);
        }
    }

    /// <summary>Nodes break at their rate and come back mended.</summary>
    private void Wear(double seconds, double now)
    {
        foreach (var mended in broken.Where(b => b.Value.Until <= now).Select(b => b.Key).ToImmutableArray())
        {
            broken.Remove(mended);
        }

        double expected = options.Faults.PerThousandNodeDays / 1000 * fabric.Length * seconds / 86_400;
        for (double left = -Math.Log(1 - random.NextDouble()); left < expected; left -= Math.Log(1 - random.NextDouble()))
        {
            Strike(fabric[random.Next(fabric.Length)].Id, options.Faults.Draw(random), now);
        }
    }

    private void Strike(NodeId node, FaultCause fault, double now)
    {
        var pod = gangs.Values.SelectMany(g => g.Pods)
            .FirstOrDefault(p => p.Node == node && p.Assignment is not null && p.ExitCode is null);
        switch (fault.Effect)
        {
            case FaultEffect.RankExits:
                pod?.FailRank(fault.Name);
                break;
            case FaultEffect.NumbersBreak when pod is not null:
                gangs[pod.Gang].SpoilNextBatch();
                break;
            case FaultEffect.NumbersBreak:
                break;
            case FaultEffect.RankHangs:
                pod?.Hang();
                break;
            case FaultEffect.AgentEnds:
                pod?.Exit(128 + 9, fault.Name);
                break;
            // A GPU that fails is found bad by the check after it, and its node goes to the repair with it.
            case FaultEffect.GpuFails or FaultEffect.NodeLost:
                Break(node, $"{fault.Name}; back in {Decisions.Words.Duration(Calibration.Repair)} of simulated time",
                    now + Calibration.Repair.TotalSeconds);
                break;
            default:
                throw new System.Diagnostics.UnreachableException($"effect {fault.Effect}");
        }
    }

    private bool Break(NodeId node, string reason, double until)
    {
        broken[node] = ($"simulated: {reason}", until);
        foreach (var pod in gangs.Values.SelectMany(g => g.Pods).Where(p => p.Node == node))
        {
            pod.Exit(128 + 9, reason);
        }

        return true;
    }
}

/// <summary>What one agent says in one turn: its first word, or a beat.</summary>
internal sealed record SimulatedWord(SimulatedPod Pod, AgentRegistration? First, AgentBeat? Beat);
