using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// What <see cref="StageEngine"/> needs done in the world before it goes on. Whoever hosts it does it, in the order in which it is
/// asked, and answers on the effect itself. Idempotent: after a crash the next tick asks again.
/// </summary>
public abstract class StageEffect
{
    /// <summary>The one that it is. Whoever hosts an engine has a place for each; a new effect has none here yet.</summary>
    public T Match<T>(
        Func<Look, T> look, Func<LookAtCheckpoints, T> lookAtCheckpoints, Func<Write, T> write, Func<KeepEvidence, T> keepEvidence,
        Func<NodeFailed, T> nodeFailed, Func<NodesChecked, T> nodesChecked, Func<CreatePods, T> createPods, Func<EndPods, T> endPods,
        Func<Release, T> release) => this switch
        {
            Look one => look(one),
            LookAtCheckpoints one => lookAtCheckpoints(one),
            Write one => write(one),
            KeepEvidence one => keepEvidence(one),
            NodeFailed one => nodeFailed(one),
            NodesChecked one => nodesChecked(one),
            CreatePods one => createPods(one),
            EndPods one => endPods(one),
            Release one => release(one),
            _ => throw new System.Diagnostics.UnreachableException($"{GetType().Name} has no place in {nameof(StageEffect)}"),
        };

    private StageEffect() { }

    /// <summary>To look around: at the cluster where pods may be, and what becomes of the request for nodes.</summary>
    /// <param name="cluster">Null is the answer of a cluster that cannot be asked.</param>
    /// <param name="request">Null: none is made.</param>
    public sealed class Look(bool cluster, GangRequest? request) : StageEffect
    {
        internal (ClusterSnapshot? Cluster, PlacementDecision? Placement, Instant Now, Instant AwakeSince)? Answer { get; private set; }

        public bool Cluster { get; } = cluster;

        public GangRequest? Request { get; } = request;

        /// <param name="awakeSince">Since when we have run without a break: <see cref="Wakefulness.AwakeSince"/>.</param>
        public void Seen(ClusterSnapshot? snapshot, PlacementDecision? placement, Instant now, Instant awakeSince) =>
            Answer = (snapshot, placement, now, awakeSince);
    }

    /// <summary>To look at what lies in the stage's checkpoint folder. Unanswered: it cannot be seen from here.</summary>
    public sealed class LookAtCheckpoints(StageId stage) : StageEffect
    {
        public StageId Stage { get; } = stage;

        public StageFolder? Found { get; set; }
    }

    /// <summary>To write the stage. Nothing that follows from it is done, and no agent hears of it, before it is written.</summary>
    public sealed class Write(Stage next) : StageEffect
    {
        internal bool Answered { get; private set; }

        internal bool Lost { get; private set; }

        internal Stage? OnDisk { get; private set; }

        public Stage Next { get; } = next;

        /// <param name="written">As the disk has it now, without the events that were told already.</param>
        public void Written(Stage written) => (Answered, OnDisk) = (true, written);

        /// <summary>Somebody wrote a newer record: this is it, and what was decided counts for nothing.</summary>
        public void Superseded(Stage? onDisk) => (Answered, Lost, OnDisk) = (true, true, onDisk);
    }

    /// <summary>To keep what is known of an attempt that failed, durably, before anything of it is ended or launched again.</summary>
    public sealed class KeepEvidence(Evidence evidence) : StageEffect
    {
        public Evidence Evidence { get; } = evidence;
    }

    /// <summary>To put a failure on its node's record.</summary>
    public sealed class NodeFailed(NodeFailure failure) : StageEffect
    {
        public NodeFailure Failure { get; } = failure;
    }

    /// <summary>To put what a gang's first steps said of its nodes on their record.</summary>
    public sealed class NodesChecked(CheckedNodes told) : StageEffect
    {
        public CheckedNodes Told { get; } = told;
    }

    /// <summary>To make the pods of the gang that are missing.</summary>
    public sealed class CreatePods(GangGrant gang) : StageEffect
    {
        public GangGrant Gang { get; } = gang;
    }

    /// <summary>To end the gang's pods.</summary>
    public sealed class EndPods(GangId gang, string reason) : StageEffect
    {
        public GangId Gang { get; } = gang;

        /// <summary>Those on these nodes alone. Empty: all of them.</summary>
        public ImmutableArray<NodeId> Nodes { get; init; } = [];

        public string Reason { get; } = reason;

        /// <summary>The answer: nothing of it runs any more. Unanswered: not certain yet, the next tick asks again.</summary>
        public bool Certain { get; set; }
    }

    /// <summary>To give the nodes of a gang back of which nothing runs any more, or to take its request back.</summary>
    public sealed class Release(GangId gang) : StageEffect
    {
        public GangId Gang { get; } = gang;

        /// <summary>The gang keeps its other nodes. Empty: it gives all of them back.</summary>
        public ImmutableArray<NodeId> Nodes { get; init; } = [];
    }
}
