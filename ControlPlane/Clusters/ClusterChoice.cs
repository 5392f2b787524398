using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>
/// Which cluster a control plane is started for, with that cluster's own options. Closed: one record per kind, in the folder of its
/// cluster, so that a further kind is a folder and the word by which the command line chooses it.
/// </summary>
public abstract record ClusterChoice
{
    private protected ClusterChoice() { }

    /// <summary>For greetings.</summary>
    private protected const string DrillsGreeting = "for drills: `dsops drill` may break what runs here";

    /// <summary>Machines that it has, where their number is chosen with it; null: it has those that there are.</summary>
    public virtual int? NodesChosen => null;

    /// <summary>Folder of checkpoints as control plane and agents see it; null: the usual one of the data directory.</summary>
    public virtual string? Checkpoints => null;

    /// <summary>Why workers would have no keys for a checkpoint store, and what to do; null: they have, or need none.</summary>
    /// <param name="environment">Of this process.</param>
    internal virtual (string What, string Fix)? WithoutStoreKeys(Func<string, string?> environment) => null;

    /// <summary>The same with what operators wrote of pods; null: it needs that, and it is not there.</summary>
    public virtual ClusterChoice? With(PodSettings? written) => this;

    /// <summary>What whoever starts it has to know of it; empty: nothing.</summary>
    public virtual string Greeting => "";

    /// <summary>Pipelines may stand in it as objects, to be run as they are applied and deleted.</summary>
    public virtual bool DeclaresPipelines => false;

    /// <summary>Looks, for `dsops doctor`, whether what it would run could run. Nothing is started that stays.</summary>
    internal virtual Task<ClusterExamined> Examine(ClusterAsked asked, CancellationToken cancellation) =>
        Task.FromResult(new ClusterExamined([]));

    /// <summary>Registers its <see cref="ITrainingCluster"/> and what drives it.</summary>
    public abstract void AddTo(IServiceCollection services, ClusterHouse house);
}

/// <summary>What the house gives to any cluster.</summary>
/// <param name="DataDirectory">Holds control-plane.json, by which agents on this machine find the control plane.</param>
/// <param name="Fabric">Network that the nodes hang in, by name.</param>
/// <param name="TokenOf">What the agent of a gang's node shows when it reports.</param>
/// <param name="Pin">Of the key that the port for agents of other machines shows (--agents).</param>
public sealed record ClusterHouse(string DataDirectory, string Fabric, Func<GangId, NodeId, string> TokenOf, string Pin);

/// <summary>What a look at a cluster is told.</summary>
/// <param name="Version">Of this program, with the protocol that it speaks with agents.</param>
/// <param name="Store">Where checkpoints are copied to; null: nowhere.</param>
internal sealed record ClusterAsked(string Version, int Protocol, StoreAccess? Store, TimeProvider Clock);

/// <summary>What a look at a cluster found.</summary>
/// <param name="Findings">In the order in which they are told.</param>
internal sealed record ClusterExamined(ImmutableArray<Finding> Findings)
{
    /// <summary>Of this machine, that ranks of it would compute on.</summary>
    public int Gpus { get; init; }

    /// <summary>What came of trying the store with the workers' keys. Null: it was not tried.</summary>
    public (string Trouble, string Fix)? Store { get; init; }

    /// <summary>Why not.</summary>
    public string StoreNotTried { get; init; } = "";

    /// <summary>Where the keys of a store are.</summary>
    public string StoreKeysIn { get; init; } = "";

    /// <summary>What runs there has checkpoints that a store may hold.</summary>
    public bool CopiesCheckpoints { get; init; }
}
