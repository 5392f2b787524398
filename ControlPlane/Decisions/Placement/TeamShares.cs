using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

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

    public void Add(GangGrant grant) => slotsHeld[grant.Team] = Held(grant.Team) + grant.Slots;

    public int Held(string team) => slotsHeld.GetValueOrDefault(team);

    public int Owned(string team) => policy.QuotaSlots.GetValueOrDefault(team);

    /// <summary>Held over owned; a team without a quota counts as owning one GPU, so that it comes after teams inside theirs.</summary>
    public double Of(string team) => (double)Held(team) / Math.Max(1, Owned(team));

    /// <summary>With this gang the team still holds no more than it owns.</summary>
    public bool Within(GangRequest request) => Held(request.Team) + (request.Nodes * request.SlotsPerNode) <= Owned(request.Team);

    /// <summary>Why the team's quota forbids the request; null when it does not.</summary>
    public string? Refusal(GangRequest request) => policy.QuotaSlots.IsEmpty || policy.Borrow || Within(request) ? null
        : $"over quota: team {request.Team} owns {Owned(request.Team)} GPUs and holds {Held(request.Team)}; this gang asks for "
            + $"{request.Nodes * request.SlotsPerNode} and borrowing is off";
}
