using System.Text;
using System.Text.Json;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Dashboard.Pages.Cluster;

/// <summary>
/// The cluster in few letters, which js/heat.js draws: of each node its state, then two letters per GPU: what it does, and the letter
/// of its run. 256 nodes of 8 are 4.6 kB a second on the circuit, and no component per cell.
/// </summary>
public static class ClusterMap
{
    public const char NoRun = '-';
    private const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// <summary>Runs that hold nodes, by name, each with the letter it has on the map; the 53rd and later share the last.</summary>
    public static IReadOnlyList<MapRun> Runs(Contracts.Ops.V1.Cluster cluster) =>
        [.. cluster.Nodes.SelectMany(n => n.Work).GroupBy(w => w.Run).OrderBy(g => g.Key, StringComparer.Ordinal)
            .Select((g, i) => new MapRun(
            g.Key, Letters[Math.Min(i, Letters.Length - 1)], g.Sum(w => w.Slots),
            g.Where(w => w.HasMfu).Select(w => (double?)w.Mfu).LastOrDefault()))];

    public static string Cells(Contracts.Ops.V1.Cluster cluster, IReadOnlyList<MapRun> runs)
    {
        var letters = runs.ToDictionary(r => r.Name, r => r.Letter);
        var text = new StringBuilder(cluster.Nodes.Count * 18);
        foreach (var node in cluster.Nodes)
        {
            text.Append(text.Length > 0 ? " " : "").Append(NodeCode(node.State));
            foreach (var (state, run) in Slots(node))
            {
                text.Append(SlotCode(state)).Append(run is null ? NoRun : letters[run]);
            }
        }
        return text.ToString();
    }

    /// <summary>What does not change with every look: names, and where each node hangs.</summary>
    public static string Names(Contracts.Ops.V1.Cluster cluster) => JsonSerializer.Serialize(
        cluster.Nodes.Select(n => new[] { n.Name, n.Labels.GetValueOrDefault("deepseekops.io/leaf", "") }));

    public static string Legend(IEnumerable<MapRun> runs) => JsonSerializer.Serialize(runs.Select(r => new
    {
        letter = r.Letter.ToString(), name = r.Name, mfu = r.Mfu,
    }));

    /// <summary>What each GPU of a node does, and for which run. Of slots that are held but not yet manned, the stage's state.</summary>
    public static IEnumerable<(string State, string? Run)> Slots(Node node)
    {
        int used = 0;
        foreach (var work in node.Work)
        {
            for (int i = 0; i < work.Slots && used < node.Slots; i++, used++)
            {
                yield return (i < work.Ranks.Count ? work.Ranks[i] : "starting", work.Run);
            }
        }
        // Nothing is placed on a node that is not ready, so its GPUs are not free for anybody.
        string idle = node.State == "ready" ? "free" : "unused";
        for (; used < node.Slots; used++)
        {
            yield return (idle, null);
        }
    }

    public static IEnumerable<(string State, int Count)> Tally(Contracts.Ops.V1.Cluster cluster) =>
        cluster.Nodes.SelectMany(n => Slots(n)).CountBy(s => s.State).Select(p => (p.Key, p.Value)).OrderByDescending(p => p.Value);

    private static char NodeCode(string state) =>
        state switch { "ready" => 'r', "not-ready" => 'n', "cordoned" => 'c', "maintenance" => 'm', _ => 'u' };

    private static char SlotCode(string state) => state switch
    {
        "free" => '.',
        "unused" => 'o',
        "starting" => 's',
        "training" => 't',
        "saving" => 'w',
        "done" => 'd',
        "exited" => 'x',
        _ => 'u',
    };
}

/// <summary>A run as the map names it.</summary>
public sealed record MapRun(string Name, char Letter, int Gpus, double? Mfu);
