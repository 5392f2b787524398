using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>Which gangs leave nodes that a person drains, or that are out for maintenance.</summary>
public static class Drains
{
    /// <summary>The same until a gang is gone, so it may be told again after a crash.</summary>
    /// <param name="seen">As it is after <see cref="Maintenance.With"/>, which says whose maintenance is on.</param>
    public static ImmutableArray<Preemption> Of(ClusterSnapshot seen, ImmutableArray<Cordon> cordons, ImmutableArray<GangGrant> held)
    {
        var leaving = cordons.Where(c => c.Drains).ToDictionary(c => c.Node, c => $"is drained: {c.Reason}");
        foreach (var node in seen.Nodes.Where(n => n.Health == NodeHealth.Maintenance))
        {
            leaving.TryAdd(node.Id, $"is out for {node.Reason}");
        }

        return leaving.Count == 0 ? [] : [.. from gang in held
            let node = gang.Nodes.FirstOrDefault(leaving.ContainsKey)
            where node != default
            let grace = Victims.Grace(gang)
            select new Preemption(gang.Stage, gang.Gang, For: null, grace,
                $"{node} {leaving[node]}; it has {Words.Duration(grace)} to save, then goes elsewhere")];
    }
}
