using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using Orleans.Concurrency;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Who holds which nodes. There is one; its key is <see cref="Key"/>.</summary>
public interface IClusterGrain : IGrainWithStringKey
{
    const string Key = "cluster";

    /// <summary>Nodes for a gang, all or nothing. Idempotent: the same gang gets the same grant.</summary>
    Task<PlacementDecision> Request(GangRequest request, CancellationToken cancellation = default);

    /// <summary>Gives a gang's nodes back, or takes its request back. Only when none of its pods runs any more.</summary>
    /// <param name="nodes">These alone, and only when none of its pods runs there any more. Empty: all of them.</param>
    Task Release(GangId gang, ImmutableArray<NodeId> nodes, CancellationToken cancellation = default);

    /// <summary>Nothing more is placed on the node; what runs there goes on. False: there is no such node.</summary>
    Task<bool> Cordon(NodeId node, string reason, CancellationToken cancellation = default);

    /// <inheritdoc cref="Cordon"/>
    Task<bool> Uncordon(NodeId node, CancellationToken cancellation = default);

    /// <summary>Cordons, and asks each gang on the node to save and go elsewhere. False: there is no such node.</summary>
    Task<bool> Drain(NodeId node, string reason, CancellationToken cancellation = default);

    /// <summary>Has an idle node tested as soon as it is its turn. Null: it will be, or there is no such node; otherwise why not.</summary>
    Task<string?> Test(NodeId node, CancellationToken cancellation = default);

    /// <summary>Puts a waiting gang before another, or before all. Null: done; otherwise why not.</summary>
    Task<string?> Move(StageId stage, StageId? before, string reason, CancellationToken cancellation = default);

    /// <summary>
    /// Asks gangs to save and give their nodes up, for one that waits or for nobody. Null: they are asked; otherwise why not.
    /// </summary>
    Task<string?> GiveWay(ImmutableArray<StageId> stages, StageId? heir, string reason, CancellationToken cancellation = default);

    /// <summary>Plans maintenance. Null: planned; otherwise why not.</summary>
    Task<string?> Plan(MaintenanceWindow window, CancellationToken cancellation = default);

    /// <summary>Null: there is no more such maintenance; otherwise why not.</summary>
    Task<string?> CancelMaintenance(string name, CancellationToken cancellation = default);

    /// <summary>What a gang that trains says of its pace. Memory only.</summary>
    [OneWay, AlwaysInterleave]
    Task Told(GangPace pace);

    /// <summary>A failure that a stage has counted, for the node's record.</summary>
    [OneWay]
    Task NodeFailed(NodeFailure failure);

    /// <summary>What the first steps of a gang said of its nodes.</summary>
    [OneWay]
    Task NodesChecked(CheckedNodes told);

    /// <summary>What moving a waiting gang would do. Nothing is changed by asking, here and below.</summary>
    Task<Foresight> ForeseeMove(StageId stage, StageId? before, CancellationToken cancellation = default);

    Task<Foresight> ForeseeGiveWay(ImmutableArray<StageId> stages, StageId? heir, CancellationToken cancellation = default);

    Task<Foresight> ForeseeNode(NodeId node, bool drains, CancellationToken cancellation = default);

    /// <summary>Why a pipeline could never start here, however long it waits. Null: it could.</summary>
    Task<string?> CannotStart(PipelineSpec pipeline, CancellationToken cancellation = default);

    /// <summary>Nodes, who holds them, and who waits for what.</summary>
    [AlwaysInterleave]
    Task<ClusterView> Describe();
}
