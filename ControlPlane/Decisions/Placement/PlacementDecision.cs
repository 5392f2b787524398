using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What became of a request: nodes, or a sentence with numbers.</summary>
public abstract record PlacementDecision(string Reason)
{
    public sealed record Placed(GangGrant Grant, string Reason) : PlacementDecision(Reason);

    /// <param name="Reason">The binding reason first, the others behind it, as one sentence.</param>
    /// <param name="Reasons">The same one by one.</param>
    /// <param name="Eta">When the nodes should be there, if the ends of what runs are known.</param>
    /// <param name="Ways">What would start it sooner, cheapest first, each with its price.</param>
    public sealed record Pending(string Reason, ImmutableArray<PendingReason> Reasons, StartEstimate? Eta, ImmutableArray<StartWay> Ways)
        : PlacementDecision(Reason)
    {
        /// <summary>What there is for it now. Null: it was not looked at, or an older version wrote this.</summary>
        public RoomSeen? Room { get; init; }

        public static Pending Of(ImmutableArray<PendingReason> reasons, StartEstimate? eta, ImmutableArray<StartWay> ways) =>
            new(string.Join("; ", reasons.Select(r => r.Text)), reasons, eta, ways);
    }
}

/// <summary>The room that a gang which waits has found.</summary>
/// <param name="Nodes">That it could have at once.</param>
/// <param name="Out">That it could have too, were they not broken, unknown, cordoned or out for maintenance.</param>
/// <param name="DealsUnevenly"><inheritdoc cref="ClusterSnapshot.DealsUnevenly"/></param>
public sealed record RoomSeen(int Nodes, int Out, bool DealsUnevenly);

public enum PendingKind
{
    /// <summary>It can never start as it is asked for.</summary>
    Impossible = 0,
    Quota = 1,
    /// <summary>Too few nodes are free.</summary>
    Capacity = 2,
    /// <summary>Free nodes are held together for a larger gang before it.</summary>
    Reserved = 3,
    Maintenance = 4,
    Spares = 5,
    Group = 6,
    /// <summary>Others are before it in the queue.</summary>
    Behind = 7,
    /// <summary>Gangs have been asked to give way to it.</summary>
    Preempting = 8,
    /// <summary>Its nodes are promised.</summary>
    Promised = 9,
    /// <summary>A person holds who would give way.</summary>
    Held = 10,
}

public readonly record struct PendingReason(PendingKind Kind, string Text);

/// <summary>A start time with its error band.</summary>
/// <param name="Basis">Where the band comes from.</param>
public sealed record StartEstimate(DateTimeOffset Earliest, DateTimeOffset Likely, DateTimeOffset Latest, string Basis);
