using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>
/// Which cluster a control plane is started for, with that cluster's own options. Closed: one record per kind, in the folder of its
/// cluster, so that a further kind is a folder and the word by which the command line chooses it.
/// </summary>
public abstract record ClusterChoice
{
    private protected ClusterChoice() { }

    /// <summary>Machines that it has from the beginning.</summary>
    public abstract int Nodes { get; init; }

    /// <summary>What whoever starts it has to know of it; empty: nothing.</summary>
    public virtual string Greeting => "";

    /// <summary>Registers its <see cref="ITrainingCluster"/> and what drives it.</summary>
    public abstract void AddTo(IServiceCollection services, ClusterHouse house);
}

/// <summary>What the house gives to any cluster.</summary>
/// <param name="DataDirectory">Holds control-plane.json, by which agents on this machine find the control plane.</param>
/// <param name="Fabric">Network that the nodes hang in, by name.</param>
/// <param name="TokenOf">What the agent of a gang's node shows when it reports.</param>
public sealed record ClusterHouse(string DataDirectory, string Fabric, Func<GangId, NodeId, string> TokenOf);
