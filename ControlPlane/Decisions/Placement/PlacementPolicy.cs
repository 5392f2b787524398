using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What the operators want of placement.</summary>
/// <param name="QuotaSlots">GPUs each team owns; a team that is not named owns none and may borrow.</param>
/// <param name="Borrow">A team may hold more than it owns while nobody else asks for it.</param>
/// <param name="PreemptAbove">A gang may push out gangs whose priority is lower by at least this much; null: never.</param>
public sealed record PlacementPolicy(ImmutableDictionary<string, int> QuotaSlots, bool Borrow, int? PreemptAbove)
{
    /// <summary>
    /// How many of the gangs that could start at all one answer looks at, best first; those behind wait for them. Default: 1000.
    /// </summary>
    public int Depth { get; init; } = 1000;

    /// <summary>One team's laptop or a cluster without quotas: everybody may use all of it; urgent work pushes out normal work.</summary>
    public static PlacementPolicy Default { get; } = new(ImmutableDictionary<string, int>.Empty, Borrow: true, PreemptAbove: 100);
}

/// <summary>GPUs that each team holds, against what it owns, while one question is answered.</summary>
internal sealed class TeamShares
{
    private readonly PlacementPolicy policy;
    private readonly Dictionary<string, int> slotsHeld = new(StringComparer.Ordinal);

    public TeamShares(PlacementQuestion question)
    {
        policy = question.Policy;
        foreach (var grant in question.Held)
        {
            Add(grant);
        }
    }

    public void Add(GangGrant grant) =>
        slotsHeld[grant.Team] = slotsHeld.GetValueOrDefault(grant.Team) + (grant.Nodes.Length * grant.SlotsPerNode);

    /// <summary>Held over owned; a team without a quota counts as owning one GPU, so that it comes after teams inside theirs.</summary>
    public double Of(string team) => (double)slotsHeld.GetValueOrDefault(team) / Math.Max(1, policy.QuotaSlots.GetValueOrDefault(team));

    /// <summary>Why the team's quota forbids the request; null when it does not.</summary>
    public string? Refusal(GangRequest request)
    {
        if (policy.QuotaSlots.IsEmpty || policy.Borrow)
        {
            return null;
        }

        int owns = policy.QuotaSlots.GetValueOrDefault(request.Team);
        int holds = slotsHeld.GetValueOrDefault(request.Team);
        int asks = request.Nodes * request.SlotsPerNode;
        return holds + asks <= owns ? null
            : $"over quota: team {request.Team} owns {owns} GPUs and holds {holds}; this gang asks for {asks} and borrowing is off";
    }
}
