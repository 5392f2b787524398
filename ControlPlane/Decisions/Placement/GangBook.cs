using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// Who holds nodes and who waits for some. One book for the cluster's grain, which writes it down, and for the simulation.
/// </summary>
/// <param name="Moves">What people moved in the queue.</param>
public readonly record struct GangBook(
    ImmutableArray<GangGrant> Held, ImmutableArray<GangRequest> Waiting, ImmutableArray<HandMove> Moves)
{
    public static GangBook Empty { get; } = new([], [], []);

    /// <summary>What a request that was granted is told again; null: it holds nothing.</summary>
    public PlacementDecision.Placed? HeldBy(GangRequest request)
    {
        var id = request.Id;
        return Held.FirstOrDefault(h => h.Id == id) is { } grant
            ? new PlacementDecision.Placed(grant, $"holds {Words.Nodes(grant.Nodes)}") : null;
    }

    /// <summary>What a gang that stays is told again once the nodes that come to it are its own; null: they are not yet.</summary>
    public PlacementDecision.Placed? Has(GangRequest request) =>
        request is { InStead: { } gang, Refill.Takes: { IsEmpty: false } takes }
        && Held.FirstOrDefault(h => h.Id == gang) is { } grant && takes.All(grant.Holds)
            ? new PlacementDecision.Placed(grant, $"holds {Words.Nodes(grant.Nodes)}") : null;

    /// <param name="whole">The gang's grant with those that have come to it.</param>
    public GangBook Joined(GangGrant whole) => this with { Held = [.. Held.Select(h => h.Id == whole.Id ? whole : h)] };

    /// <summary>A stage waits with one request, its newest; asking again keeps the place in the queue.</summary>
    public GangBook Asked(GangRequest request) => Waiting.Any(w => w.Id == request.Id) ? this
        : this with { Waiting = Waiting.RemoveAll(w => w.Stage == request.Stage).Add(request) };

    /// <summary>Who was placed holds, waits no longer, and needs no hand any more.</summary>
    public GangBook Granted(ImmutableArray<PlacementDecision.Placed> placed)
    {
        if (placed.IsEmpty)
        {
            return this;
        }

        var grants = placed.Select(p => p.Grant).ToImmutableArray();
        return new GangBook(
            Held.AddRange(grants),
            Waiting.RemoveAll(w => grants.Any(g => g.Id == w.Id)),
            Moves.RemoveAll(m => grants.Any(g => g.Stage == m.Stage)));
    }

    /// <param name="nodes">Those that it gives back. None: the gang has ended, or no longer waits.</param>
    public GangBook Released(GangId gang, ImmutableArray<NodeId> nodes) => nodes.IsEmpty
        ? this with { Held = Held.RemoveAll(h => h.Id == gang), Waiting = Waiting.RemoveAll(w => w.Id == gang) }
        : !Held.Any(h => h.Id == gang && h.Nodes.Any(nodes.Contains)) ? this
        : this with { Held = [.. Held.Select(h => h.Id == gang ? h with { Nodes = h.Nodes.RemoveRange(nodes) } : h)] };
}
