using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;
using Orleans.Concurrency;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Who holds which nodes. There is one; its key is <see cref="Key"/>.</summary>
public interface IClusterGrain : IGrainWithStringKey
{
    const string Key = "cluster";

    /// <summary>Nodes for a gang, all or nothing. Idempotent: the same (stage, gang) gets the same grant.</summary>
    Task<PlacementDecision> Request(GangRequest request, CancellationToken cancellation = default);

    /// <summary>Gives a gang's nodes back, or takes its request back. Only when none of its pods runs any more.</summary>
    Task Release(StageId stage, int gang, CancellationToken cancellation = default);

    /// <summary>Nothing more is placed on the node; what runs there goes on. False: there is no such node.</summary>
    Task<bool> Cordon(NodeId node, string reason, CancellationToken cancellation = default);

    /// <inheritdoc cref="Cordon"/>
    Task<bool> Uncordon(NodeId node, CancellationToken cancellation = default);

    /// <summary>Cordons, and asks each gang on the node to save and go elsewhere. False: there is no such node.</summary>
    Task<bool> Drain(NodeId node, string reason, CancellationToken cancellation = default);

    /// <summary>Nodes, who holds them, and who waits for what.</summary>
    [AlwaysInterleave]
    Task<ClusterView> Describe();
}
