using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Pods;

/// <summary>A node's mark `unschedulable`, as it is to become. Closed.</summary>
public abstract record NodeMark(string Node)
{
    public sealed record Set(string Node, string Reason) : NodeMark(Node);

    public sealed record Lift(string Node) : NodeMark(Node);
}

/// <summary>
/// Cordons of ours, shown to everybody else on the cluster. Only what carries our mark is lifted: a node that somebody else cordoned stays
/// his, also while it is cordoned here. A mark that was taken off by hand comes back for as long as the cordon stands here.
/// </summary>
public static class NodeMarks
{
    /// <summary>Annotation of a node that we made unschedulable, with who we are as its value.</summary>
    public const string CordonedBy = "deepseekops.io/cordoned-by";

    /// <summary>Annotation: why, in the person's words.</summary>
    public const string CordonReason = "deepseekops.io/cordon-reason";

    /// <summary>Two control planes of one cluster leave each other's marks alone.</summary>
    public static string Owner(PodSettings settings) => $"{settings.Namespace}/{settings.Instance}";

    /// <param name="cordoned">By name of the node, why.</param>
    public static ImmutableArray<NodeMark> Of(
        IEnumerable<NodeFacts> nodes, IReadOnlyDictionary<string, string> cordoned, PodSettings settings)
    {
        var marks = ImmutableArray.CreateBuilder<NodeMark>();
        foreach (var node in nodes.OrderBy(n => n.Name, StringComparer.Ordinal))
        {
            bool ours = node.CordonedBy == Owner(settings);
            if (cordoned.TryGetValue(node.Name, out string? reason))
            {
                if (!node.Unschedulable && (ours || node.CordonedBy.Length == 0))
                {
                    marks.Add(new NodeMark.Set(node.Name, reason));
                }
            }
            else if (ours)
            {
                marks.Add(new NodeMark.Lift(node.Name));
            }
        }

        return marks.ToImmutable();
    }
}
