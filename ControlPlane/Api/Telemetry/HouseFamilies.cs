using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>The cluster, what waits for it, and the control plane itself.</summary>
internal static class HouseFamilies
{
    public static readonly ImmutableArray<Metric> All =
    [
        Gauge("dsops_incidents", "Incidents that are not closed, by state; needs_human counts those of runs that have ended too.",
            ["state"], seen => seen.Incidents is not { } known ? []
            : Enum.GetValues<IncidentState>().Where(s => s != IncidentState.Closed)
                .Select(s => new Point(known.GetValueOrDefault(s), GrainMeter.Label(s)))),
        Gauge("dsops_nodes", "Nodes by state.", ["state"], seen => seen.Nodes is not { } cluster ? []
            : Enum.GetValues<NodeHealth>().Select(h => new Point(cluster.Nodes.Count(n => n.Node.Health == h), Word(h)))),
        Gauge("dsops_node_state", "1 for the state that a node is in.", ["node", "state"],
            seen => Nodes(seen).Select(n => new Point(1, n.Node.Id.Name, Word(n.Node.Health)))),
        Gauge("dsops_node_lemon_score", "How often a node has ended a gang lately, halved with every week; nodes with a clean record are "
            + "left out.", ["node"],
            seen => Nodes(seen).Where(n => n.Node.LemonScore > 0).Select(n => new Point(n.Node.LemonScore, n.Node.Id.Name))),
        Gauge("dsops_gpus", "GPUs by use; all states together are all GPUs. unavailable: not held, and their node takes no gang.",
            ["state"], seen => seen.Nodes is null ? [] : Gpus(Nodes(seen))),
        Gauge("dsops_team_gpus", "GPUs that a team holds, and those that its gangs wait for.", ["team", "state"],
            seen => (seen.Nodes?.Teams ?? []).SelectMany(
                t => new[] { new Point(t.Holds, t.Name, "holds"), new Point(t.Asks, t.Name, "asks") })),
        Gauge("dsops_queue_gangs", "Gangs that wait for nodes.", [],
            seen => seen.Nodes is { } cluster ? [new Point(cluster.Pending.Length)] : []),
        Gauge("dsops_queue_gpus", "GPUs that the gangs which wait ask for.", [],
            seen => seen.Nodes is { } cluster ? [new Point(cluster.Pending.Sum(p => p.Request.Nodes * p.Request.SlotsPerNode))] : []),
        Gauge("dsops_queue_oldest_wait_seconds", "How long the one has waited that waits for longest; 0: none does.", [],
            seen => seen.Nodes is { } cluster ? [new Point(OldestWait(cluster, seen.At))] : []),
        Gauge("dsops_database_up", "1: the database takes writes.", [], seen => [new Point(seen.Store is StoreState.Writable ? 1 : 0)]),
        Gauge("dsops_database_away_seconds", "For how long it has taken none; 0: it does.", [], seen =>
            [new Point(seen.Store is StoreState.Unwritable away ? Math.Max(0, (seen.At - away.Since).TotalSeconds) : 0)]),
        Gauge("dsops_notifications_undelivered", "Messages to people that could not be delivered, by channel.", ["channel"],
            seen => seen.Untold.Select(t => new Point(t.Untold, t.Channel))),
        Gauge("dsops_stray_agents", "Agents that run for stages which this database does not know.", [], seen => [new Point(seen.Strays)]),
        Gauge("dsops_ready", "1: /readyz says ready.", [], seen => [new Point(seen.Ready ? 1 : 0)]),
        Gauge("dsops_build_info", "1; its labels say what runs.", ["version", "database", "cluster"],
            seen => [new Point(1, seen.Version, seen.Database, seen.Cluster)]),
        Gauge("dsops_scrape_part_up", "1: this part of the scrape answered; of one that did not, all it would tell is missing.", ["part"],
            seen => seen.Parts.Select(p => new Point(p.Answered ? 1 : 0, p.Name))),
        Gauge("dsops_scrape_part_seconds", "How long this part of the scrape took.", ["part"],
            seen => seen.Parts.Select(p => new Point(p.Took.TotalSeconds, p.Name))),
        Gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", [], _ => [new Point(StartedAt)]),
        new Metric(new Family("process_cpu_seconds_total", "counter", "CPU time of the process."),
            _ => [new Point(Environment.CpuUsage.TotalTime.TotalSeconds)]),
        Gauge("process_resident_memory_bytes", "Memory of the process that lies in RAM.", [], _ => [new Point(Environment.WorkingSet)]),
        Gauge("process_open_fds", "Files and sockets that the process has open.", [], _ => OpenFiles()),
    ];

    private static readonly double StartedAt =
        (Process.GetCurrentProcess().StartTime.ToUniversalTime() - DateTime.UnixEpoch).TotalSeconds;

    private static ImmutableArray<NodeView> Nodes(Seen seen) => seen.Nodes?.Nodes ?? [];

    private static IEnumerable<Point> Gpus(ImmutableArray<NodeView> nodes)
    {
        var (used, free, away) = (0, 0, 0);
        foreach (var node in nodes)
        {
            int left = Math.Max(0, node.Node.Slots - node.SlotsUsed);
            used += node.SlotsUsed;
            (free, away) = node.Node.Health == NodeHealth.Ready ? (free + left, away) : (free, away + left);
        }

        return [new Point(used, "used"), new Point(free, "free"), new Point(away, "unavailable")];
    }

    private static double OldestWait(ClusterView cluster, DateTimeOffset now) =>
        cluster.Pending.Select(p => Math.Max(0, (now - p.Request.Since).TotalSeconds)).DefaultIfEmpty(0).Max();

    /// <summary>Linux alone has them in a folder.</summary>
    private static IEnumerable<Point> OpenFiles() =>
        Directory.Exists("/proc/self/fd") ? [new Point(Directory.EnumerateFileSystemEntries("/proc/self/fd").Count())] : [];

    private static string Word(NodeHealth health) => health == NodeHealth.NotReady ? "not_ready" : health.ToString().ToLowerInvariant();

    private static Metric Gauge(string name, string help, ImmutableArray<string> labels, Func<Seen, IEnumerable<Point>> points) =>
        new(new Family(name, "gauge", help, labels), points);
}
