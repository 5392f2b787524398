using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>Nodes under a name that operators gave: those that carry every label of it, and those that are named.</summary>
public sealed record NodeGroup(string Name, ImmutableDictionary<string, string> Labels, ImmutableArray<NodeId> Nodes)
{
    public bool Holds(NodeSeen node) => Nodes.Contains(node.Id)
        || (!Labels.IsEmpty && Labels.All(label => node.Labels.TryGetValue(label.Key, out string? value) && value == label.Value));
}
