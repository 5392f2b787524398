using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// A planned time in which nodes are out. Nothing is placed that could overlap it; what runs there when it begins saves and goes
/// elsewhere; at its end the nodes are back by themselves.
/// </summary>
/// <param name="Group">A group whose nodes are out, beside <paramref name="Nodes"/>; empty: none.</param>
public sealed record MaintenanceWindow(
    string Name, ImmutableArray<NodeId> Nodes, string Group, DateTimeOffset From, DateTimeOffset Until, string Reason)
{
    /// <summary>Planned by a person while the control plane ran, and so theirs to cancel; the others stand in the settings file.</summary>
    public bool ByHand { get; init; }

    public bool Active(DateTimeOffset now) => From <= now && now < Until;

    public bool Covers(NodeSeen node, ImmutableArray<NodeGroup> groups) =>
        Nodes.Contains(node.Id) || (Group.Length > 0 && groups.FirstOrDefault(g => g.Name == Group) is { } group && group.Holds(node));

    /// <summary>"firmware (2026-01-02 08:00 to 10:00 UTC)".</summary>
    public override string ToString()
    {
        string end = Until.UtcDateTime.Date == From.UtcDateTime.Date ? "HH:mm" : "yyyy-MM-dd HH:mm";
        return string.Create(CultureInfo.InvariantCulture,
            $"{Name} ({From.UtcDateTime:yyyy-MM-dd HH:mm} to {Until.UtcDateTime.ToString(end, CultureInfo.InvariantCulture)} UTC)");
    }
}

/// <summary>Maintenance as the cluster shows it.</summary>
public static class Maintenance
{
    /// <summary>Nodes of a window that is on are out. A node that is worse off, or that a person cordoned, stays what it is.</summary>
    public static ClusterSnapshot With(this ClusterSnapshot seen, PlacementPolicy policy, DateTimeOffset now)
    {
        var active = policy.Maintenance.Where(w => w.Active(now)).ToImmutableArray();
        return active.IsEmpty ? seen : seen with
        {
            Nodes = [.. seen.Nodes.Select(
                n => n.Health == NodeHealth.Ready && active.FirstOrDefault(w => w.Covers(n, policy.Groups)) is { } window
                ? n with { Health = NodeHealth.Maintenance, Reason = $"maintenance {window}: {window.Reason}" } : n)],
        };
    }

    /// <summary>Nodes of the windows that are on, however well they are.</summary>
    public static IEnumerable<NodeId> Covered(ClusterSnapshot seen, PlacementPolicy policy, DateTimeOffset now)
    {
        var active = policy.Maintenance.Where(w => w.Active(now)).ToArray();
        return active.Length == 0 ? [] : seen.Nodes.Where(n => active.Any(w => w.Covers(n, policy.Groups))).Select(n => n.Id);
    }

    /// <summary>Why a window cannot be planned; null: it can.</summary>
    public static string? Refusal(MaintenanceWindow window, ClusterSnapshot seen, PlacementPolicy policy, DateTimeOffset now)
    {
        var unknown = window.Nodes.Where(n => seen.Nodes.All(s => s.Id != n)).Take(3).ToArray();
        return policy.Maintenance.Any(w => w.Name == window.Name)
            ? $"there is a maintenance {window.Name} already; cancel it, or take another name"
            : window.Until <= window.From ? $"maintenance {window.Name} ends before it begins"
            : window.Until <= now ? $"maintenance {window.Name} would be over already"
            : unknown.Length > 0 ? $"there is no node {string.Join(", ", unknown)}"
            : window.Group.Length > 0 && policy.Groups.All(g => g.Name != window.Group)
                ? $"there is no group {window.Group}; "
                    + (policy.Groups.IsEmpty ? "the settings name none"
                        : $"there are {string.Join(", ", policy.Groups.Select(g => g.Name))}")
            : window.Nodes.IsEmpty && window.Group.Length == 0 ? $"maintenance {window.Name} names no nodes and no group" : null;
    }
}
