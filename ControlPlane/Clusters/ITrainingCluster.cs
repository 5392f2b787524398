using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>
/// The hands: makes and ends pods where Decisions said so, and tells what it sees. Three implementations: local processes, simulated
/// nodes and Kubernetes, each a folder with its choice, its options and its registration. It decides nothing. Every call is idempotent
/// and named by gang.
/// </summary>
public interface ITrainingCluster
{
    /// <summary>"local", "simulated" or "kubernetes".</summary>
    string Kind { get; }

    /// <summary>True where what it reports is not measured on real machines; every view says so.</summary>
    bool Simulated { get; }

    /// <summary>Seconds of the cluster's own time in one second of the clock; 1 on real machines.</summary>
    double TimeFactor => 1;

    /// <summary>What it is, where views have to say more than its kind; empty: nothing.</summary>
    string InWords => "";

    /// <summary>Null: its nodes are machines, which nobody breaks on request.</summary>
    NodeFaults? Faults => null;

    /// <summary>Null: it was not started for drills.</summary>
    DrillHands? Drills => null;

    /// <summary>
    /// Makes a gang of one pod that tries checkpoints. It takes no node: it runs beside those that train, with what they leave. An
    /// IOException says in words why there is none. Null: checkpoints here have no weights.
    /// </summary>
    Func<CancellationToken, Task<IGeneratingPod>>? Generation => null;

    /// <summary>Null: nothing can be run on a node of it but a gang.</summary>
    NodeTesting? Testing => null;

    /// <summary>Nodes and pods as they are now. Cheap: it may be called every second by each stage.</summary>
    Task<ClusterSnapshot> Observe(CancellationToken cancellation);

    /// <summary>
    /// What lies in a stage's checkpoint folder, as far as manifests tell; asked before a stage moves, not each second. Null: it cannot be
    /// seen from here, or not in time. Then what agents report is all that is known, and the rank that is launched looks for itself.
    /// </summary>
    Task<StageFolder?> LookAtCheckpoints(StageId stage, CancellationToken cancellation) => Task.FromResult<StageFolder?>(null);

    /// <summary>
    /// Starts one agent on each node of the grant. An agent then registers with the control plane and is told what to run.
    /// A pod that exists already for this gang and node is left alone.
    /// </summary>
    Task CreatePods(GangGrant gang, CancellationToken cancellation);

    /// <summary>
    /// Ends the pods of a gang and fences them: when it returns true, no process of that gang runs any more, or what may still run is on a
    /// node that nobody hears of, takes no new pods, and is refused wherever it reports. False: not yet certain, ask again. Their logs and
    /// evidence are kept.
    /// </summary>
    /// <param name="nodes">The pods on these nodes alone; the rest of the gang stays. Empty: all of them.</param>
    Task<bool> DeletePods(GangId gang, ImmutableArray<NodeId> nodes, string reason, CancellationToken cancellation);

    /// <summary>
    /// What the cluster itself knows of pods of a gang that have ended, asked for before anything of it is ended or launched again. None
    /// where agents tell all that there is, or it cannot be had in time.
    /// </summary>
    Task<ImmutableArray<PodEvidence>> EvidenceOf(GangId gang, CancellationToken cancellation) =>
        Task.FromResult(ImmutableArray<PodEvidence>.Empty);

    /// <summary>
    /// The control plane stops: pods that live on its machine save, and end. One whose pods outlive it, or are nothing without it, has
    /// nothing to do. False: some were not certainly ended.
    /// </summary>
    Task<bool> Stop(string reason, CancellationToken cancellation) => Task.FromResult(true);

    /// <summary>
    /// Shows to whoever else uses its nodes which ones take nothing new, by node with the reason. One whose nodes nobody else uses has
    /// nothing to do.
    /// </summary>
    Task ShowCordons(ImmutableDictionary<NodeId, string> cordoned, CancellationToken cancellation) => Task.CompletedTask;

    /// <summary>
    /// Says which gangs hold nodes. A pod of another gang that is still there is over, and what it has of its node is not free.
    /// </summary>
    void Holds(ImmutableHashSet<GangId> held)
    {
        // One whose gangs are over when their pods are ended needs no word.
    }

    /// <summary>Ends every pod whose gang is not wanted: leftovers of a crash.</summary>
    /// <param name="wanted">
    /// Asked after the pods were looked at, so that a gang that begins meanwhile is not taken for a leftover, however long we were stopped.
    /// </param>
    Task<ImmutableArray<PodSeen>> FenceAllBut(
        Func<CancellationToken, Task<ImmutableHashSet<GangId>>> wanted, CancellationToken cancellation);
}
