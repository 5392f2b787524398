using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>What holds for the cluster as a whole, a line each; nothing is said of what it does not have.</summary>
internal static class ClusterFacts
{
    public static IEnumerable<string> Of(Cluster cluster)
    {
        if (cluster.Simulated)
        {
            yield return $"Simulated: no figure here is measured. {cluster.Simulation}";
        }

        if (cluster.Fabric.Length > 0)
        {
            yield return $"Network: {cluster.Fabric}";
        }

        if (cluster.Fragmentation is { FreeNodes: > 0 } scattered)
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Free: {scattered.FreeNodes} whole nodes, {scattered.InWholeGroups} of them in whole groups of 8 under one leaf "
                    + $"(fragmentation {scattered.Share * 100:0} %)");
        }

        if (cluster.Spares > 0)
        {
            yield return $"Spares: {cluster.SparesFree} of {cluster.Spares} are free, for gangs that lose a node";
        }

        // Of a cluster that is new as a whole none stands out.
        if (cluster.Nodes.Where(n => n.Untried).ToList() is { Count: > 0 } untried && untried.Count < cluster.Nodes.Count)
        {
            yield return $"New: {string.Join(", ", untried.Take(8).Select(n => n.Name))}"
                + (untried.Count > 8 ? $" and {untried.Count - 8} more" : "")
                + "; no gang has made its first steps there since, and a long launch is checked by them";
        }

        foreach (var team in cluster.Teams.Where(t => t.HasOwns))
        {
            yield return $"Team {team.Name}: owns {team.Owns} GPUs, holds {team.Holds}{(team.Asks > 0 ? $", waits for {team.Asks}" : "")}";
        }

        foreach (var group in cluster.Groups)
        {
            yield return $"Group {group.Name}: {group.Free} of {group.Nodes} nodes are free";
        }

        foreach (var window in cluster.Maintenance)
        {
            string when = window.Active ? "out now, until" : $"out from {Words.Moment(window.From.ToDateTimeOffset())} to";
            yield return $"Maintenance {window.Name}: {Words.NodeCount(window.Nodes.Count)} {when} "
                + $"{Words.Moment(window.Until.ToDateTimeOffset())}: {window.Reason}";
        }
    }
}
