using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Something to do in the world. Idempotent, and named by gang: done twice is done once.</summary>
public abstract record StageAction
{
    private StageAction() { }

    public sealed record CreatePods(GangGrant Gang) : StageAction;

    /// <summary>End the gang's pods; once the cluster is certain, give its nodes back.</summary>
    public sealed record EndGang(GangId Gang, string Reason) : StageAction;

    /// <summary>End the gang's pods on these nodes; once the cluster is certain, give the nodes back. The rest of the gang stays.</summary>
    public sealed record LetGo(GangId Gang, ImmutableArray<NodeId> Nodes, string Reason) : StageAction;
}

/// <summary>What a stage becomes, what is to be done once that is written, and why.</summary>
/// <param name="Next">The very same object when nothing is to be written.</param>
/// <param name="Reason">With the numbers of the moment; may change while <paramref name="Next"/> stays.</param>
public sealed record Decision(Stage Next, ImmutableArray<StageAction> Actions, string Reason)
{
    /// <summary>What was known of the attempt that failed: to be kept before anything else is done. Null: none has.</summary>
    public Evidence? Keep { get; init; }

    /// <summary>The failure that it answers. Null: none was met.</summary>
    public Failure? Met { get; init; }
}
