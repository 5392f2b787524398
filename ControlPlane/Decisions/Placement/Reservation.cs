using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// The promise to the first gang that waits: at <see cref="At"/> it has its nodes. Computed from the expected ends of what is held; where
/// an end is unknown and needed, there is no moment to promise and nothing is filled in that could stand in the way.
/// </summary>
internal sealed class Reservation
{
    private readonly GangRequest request;

    /// <summary>Nodes that are feasible at the promised moment beyond those that the gang needs.</summary>
    private int spareNodes;

    private Reservation(GangRequest request, DateTimeOffset? at, int spareNodes)
    {
        this.request = request;
        At = at;
        this.spareNodes = spareNodes;
    }

    public DateTimeOffset? At { get; }

    public StageId Stage => request.Stage;

    public int Nodes => request.Nodes;

    public static Reservation For(GangRequest request, FreeNodes free, ImmutableArray<GangGrant> held, DateTimeOffset now)
    {
        int feasible = free.Feasible(request.SlotsPerNode).Count;
        var given = new List<GangGrant>();
        foreach (var grant in held.Where(h => h.ExpectedEnd is not null).OrderBy(h => h.ExpectedEnd))
        {
            free.GiveBack(grant);
            given.Add(grant);
            feasible = free.Feasible(request.SlotsPerNode).Count;
            if (feasible >= request.Nodes)
            {
                break;
            }
        }

        // An end that should have come already comes any moment: the promise is this moment at the earliest.
        DateTimeOffset? at = feasible < request.Nodes || given.Count == 0 ? null
            : given[^1].ExpectedEnd < now ? now : given[^1].ExpectedEnd;
        given.ForEach(free.Take);
        return new Reservation(request, at, Math.Max(0, feasible - request.Nodes));
    }

    /// <summary>True when the grant ends before the promised moment, or takes only nodes that the gang does not need then.</summary>
    public bool Allows(GangGrant grant) =>
        At is { } at && (grant.ExpectedEnd <= at || grant.Nodes.Length <= spareNodes);

    /// <summary>A filled-in grant that outlives the promised moment uses up spare nodes.</summary>
    public void Consider(GangGrant grant)
    {
        if (At is { } at && !(grant.ExpectedEnd <= at))
        {
            spareNodes -= grant.Nodes.Length;
        }
    }
}
