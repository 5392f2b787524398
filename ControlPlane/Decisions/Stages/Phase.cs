using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Planning;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Where a stage is. Closed; <see cref="StagePlanner"/> owns every transition, docs/states.md draws them.</summary>
[JsonDerivedType(typeof(Waiting), "waiting")]
[JsonDerivedType(typeof(Queued), "queued")]
[JsonDerivedType(typeof(Starting), "starting")]
[JsonDerivedType(typeof(Checking), "checking")]
[JsonDerivedType(typeof(Running), "running")]
[JsonDerivedType(typeof(Restarting), "restarting")]
[JsonDerivedType(typeof(Stopping), "stopping")]
[JsonDerivedType(typeof(BackingOff), "backing-off")]
[JsonDerivedType(typeof(Paused), "paused")]
[JsonDerivedType(typeof(Completed), "completed")]
[JsonDerivedType(typeof(Failed), "failed")]
[JsonDerivedType(typeof(Cancelled), "cancelled")]
public abstract record Phase
{
    private Phase() { }

    /// <summary>The pods that may exist in this phase; null: none do.</summary>
    [JsonIgnore]
    public virtual GangGrant? GangOrNull => null;

    /// <summary>When it was entered, where it may end by itself with time.</summary>
    [JsonIgnore]
    public virtual DateTimeOffset? SinceOrNull => null;

    /// <summary>Ended for this round: only a retry by a person begins it again.</summary>
    [JsonIgnore]
    public bool Terminal => this is Completed or Failed or Cancelled;

    /// <summary>The run has not asked for it yet.</summary>
    public sealed record Waiting : Phase;

    /// <summary>It asks for nodes.</summary>
    public sealed record Queued(DateTimeOffset Since) : Phase;

    /// <summary>Pods are made; agents register, ranks load, until the first step.</summary>
    public sealed record Starting(GangGrant Gang, DateTimeOffset Since) : Phase
    {
        public override GangGrant? GangOrNull => Gang;

        public override DateTimeOffset? SinceOrNull => Since;
    }

    /// <summary>The first steps are made, on nodes of which some are new; it trains once all ranks have told them.</summary>
    /// <param name="First">The first new step.</param>
    /// <param name="Launch">From the making of its pods, or of its new ranks, to that step.</param>
    public sealed record Checking(GangGrant Gang, DateTimeOffset Since, long First, TimeSpan Launch) : Phase
    {
        public override GangGrant? GangOrNull => Gang;

        public override DateTimeOffset? SinceOrNull => Since;
    }

    /// <summary>Steps are made.</summary>
    /// <param name="Save">Set while a checkpoint out of turn is asked for.</param>
    public sealed record Running(GangGrant Gang, DateTimeOffset Since, SaveRequest? Save) : Phase
    {
        public override GangGrant? GangOrNull => Gang;

        public override DateTimeOffset? SinceOrNull => Since;
    }

    /// <summary>The same pods launch new ranks, until the first new step.</summary>
    public sealed record Restarting(GangGrant Gang, DateTimeOffset Since) : Phase
    {
        /// <summary>
        /// Nodes that were of the gang and are no more. Until the cluster is certain that none of it runs there, nothing is launched.
        /// </summary>
        public ImmutableArray<NodeId> Leaving { get; init; } = [];

        /// <summary>Nodes of the gang that are not granted to it yet. Until they are, nothing is launched.</summary>
        public ImmutableArray<NodeId> Joining { get; init; } = [];

        public override GangGrant? GangOrNull => Gang;

        public override DateTimeOffset? SinceOrNull => Since;
    }

    /// <summary>The gang is being ended; nothing else begins until the cluster is certain that none of it runs.</summary>
    /// <param name="SaveWithin">The gang may take this long to save first. Null: it ends at once.</param>
    public sealed record Stopping(GangGrant Gang, DateTimeOffset Since, Ending Then, TimeSpan? SaveWithin) : Phase
    {
        public override GangGrant? GangOrNull => Gang;

        public override DateTimeOffset? SinceOrNull => Since;
    }

    /// <summary>Waits before the next launch.</summary>
    /// <param name="Gang">The pods it keeps and launches in again. Null: a new gang is asked for.</param>
    public sealed record BackingOff(GangGrant? Gang, DateTimeOffset Since, DateTimeOffset Until) : Phase
    {
        public override GangGrant? GangOrNull => Gang;

        public override DateTimeOffset? SinceOrNull => Since;
    }

    public sealed record Paused(DateTimeOffset Since) : Phase;

    public sealed record Completed(CheckpointRef Final, DateTimeOffset At) : Phase;

    public sealed record Failed(string Why, DateTimeOffset At) : Phase;

    public sealed record Cancelled(DateTimeOffset At) : Phase;
}

/// <summary>A checkpoint asked for out of turn, because the node may be about to go, or the newest one is damaged.</summary>
/// <param name="After">Any checkpoint beyond this step answers it.</param>
public sealed record SaveRequest(string Reason, long After)
{
    /// <summary>It is asked for until it is there, whatever becomes of the node.</summary>
    public bool Stays { get; init; }
}

/// <summary>What a gang is stopped for.</summary>
[JsonDerivedType(typeof(Relaunch), "relaunch")]
[JsonDerivedType(typeof(Pause), "pause")]
[JsonDerivedType(typeof(Cancel), "cancel")]
[JsonDerivedType(typeof(Complete), "complete")]
[JsonDerivedType(typeof(Fail), "fail")]
public abstract record Ending
{
    private Ending() { }

    /// <summary>A new gang is asked for, not before <paramref name="NotBefore"/>.</summary>
    public sealed record Relaunch(string Why, DateTimeOffset NotBefore) : Ending
    {
        /// <summary>What the next gang is laid out as. Null: as the stage asks for.</summary>
        public ShrunkLayout? Layout { get; init; }
    }

    public sealed record Pause(string Why) : Ending;

    public sealed record Cancel(string Why) : Ending;

    public sealed record Complete(CheckpointRef Final) : Ending;

    public sealed record Fail(string Why) : Ending;
}
