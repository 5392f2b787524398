using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>Which gangs leave nodes that a person drains.</summary>
public static class Drains
{
    /// <summary>The same until a gang is gone, so it may be told again after a crash.</summary>
    public static ImmutableArray<Preemption> Of(ImmutableArray<Cordon> cordons, ImmutableArray<GangGrant> held) =>
        [.. from gang in held
            let cordon = cordons.FirstOrDefault(c => c.Drains && gang.Nodes.Contains(c.Node))
            where cordon is not null
            let grace = Victims.Grace(gang)
            select new Preemption(gang.Stage, gang.Gang, For: null, grace,
                $"{cordon.Node} is drained: {cordon.Reason}; it has {Words.Duration(grace)} to save, then goes elsewhere")];
}
