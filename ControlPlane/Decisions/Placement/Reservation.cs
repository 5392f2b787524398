using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// The promise to the first gang that waits: at <see cref="At"/> it has its nodes. Computed from the expected ends of what is held and
/// of maintenance; where an end is unknown and needed, there is no moment to promise and nothing is filled in that could stand in the way.
/// </summary>
internal sealed class Reservation
{
    private readonly GangRequest request;

    /// <summary>Nodes that are feasible at the promised moment beyond those that the gang needs.</summary>
    private int surplus;

    private Reservation(GangRequest request, DateTimeOffset? at, int surplus, GangGrant? last, List<GangGrant> ends)
    {
        (this.request, this.surplus) = (request, surplus);
        (At, Last, Ends) = (at, last, ends);
    }

    public DateTimeOffset? At { get; }

    /// <summary>The gang whose end frees the last of the nodes; null: the end of maintenance does.</summary>
    public GangGrant? Last { get; }

    /// <summary>Those whose ends come until then, <see cref="Last"/> among them: each may come early or late.</summary>
    public IReadOnlyList<GangGrant> Ends { get; }

    public StageId Stage => request.Stage;

    public int Nodes => request.Nodes;

    public string Group => request.Group;

    public static Reservation For(GangRequest request, FreeNodes free, ImmutableArray<GangGrant> held, PlacementQuestion question) =>
        free.Trial(() => Play(request, free, held, question));

    private static Reservation Play(
        GangRequest request, FreeNodes free, ImmutableArray<GangGrant> held, PlacementQuestion question)
    {
        var now = question.Now;
        var events = held.Where(h => h.ExpectedEnd is not null).Select(h => (At: h.ExpectedEnd!.Value, Grant: (GangGrant?)h))
            .Concat(question.Policy.Maintenance.Where(w => w.Until > now).Select(w => (At: w.Until, Grant: (GangGrant?)null)));
        var given = new List<GangGrant>();
        (DateTimeOffset At, GangGrant? Grant)? enough = null;
        int feasible = free.Feasible(request).Count;
        foreach (var (at, grant) in events.OrderBy(e => e.At))
        {
            if (grant is not null)
            {
                feasible = free.GiveBack(grant, request, feasible);
                given.Add(grant);
            }

            // An end that should have come already comes any moment: the promise is this moment at the earliest.
            var when = at < now ? now : at;
            feasible = free.ChangesWithTime ? free.CountAt(request, when) : feasible;
            if (feasible >= request.Nodes)
            {
                enough = (when, grant);
                break;
            }
        }

        given.ForEach(free.Take);
        return new Reservation(request, enough?.At, Math.Max(0, feasible - request.Nodes), enough?.Grant, given);
    }

    /// <summary>True when the grant ends before the promised moment, or takes only nodes that the gang does not need then.</summary>
    public bool Allows(GangGrant grant, FreeNodes free) =>
        grant.ExpectedEnd <= At || free.Shared(request, grant) is var shared && (shared == 0 || (At is not null && shared <= surplus));

    /// <summary>A filled-in grant that outlives the promised moment uses up the surplus.</summary>
    public void Consider(GangGrant grant, FreeNodes free)
    {
        if (At is { } at && !(grant.ExpectedEnd <= at))
        {
            surplus -= free.Shared(request, grant);
        }
    }
}
