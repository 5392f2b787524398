using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>Nodes of the cluster.</summary>
internal static class OfNodes
{
    public static readonly ImmutableArray<Question> All =
    [
        new("nodes-out", "Which nodes are out, and why?", About.All, Need.Cluster, Need.None,
        [
            "which nodes are down", "which nodes are cordoned", "which machines are broken", "which nodes are not ready", "nodes out",
            "are all nodes ready", "which nodes are in maintenance", "is a node dead", "why is the node cordoned",
            "which nodes are unavailable",
        ], Out),
        new("lemon", "Which node fails most?", About.All, Need.Cluster, Need.None,
        [
            "which node is a lemon", "worst node", "which node breaks most often", "flaky node", "which machine is unreliable",
            "lemon score", "most failures by node", "which node breaks the most",
        ], Lemon),
    ];

    private static Answer Out(Facts facts)
    {
        var cluster = facts.Cluster!;
        var away = cluster.Nodes.Where(node => node.State != "ready").ToList();
        string states = string.Join(", ", away.GroupBy(n => n.State).OrderByDescending(g => g.Count())
            .ThenBy(g => g.Key, StringComparer.Ordinal)
            .Select(g => $"{Places.Whole(g.Count())} {g.Key}"));
        var answer = away.Count == 0
            ? Answer.Of($"None: {(cluster.Nodes.Count == 1 ? "the one node is" : $"all {Words.NodeCount(cluster.Nodes.Count)} are")} ready")
            : Answer.Of($"{Places.Whole(away.Count)} of {Words.NodeCount(cluster.Nodes.Count)}, "
                + $"{Places.Many(away.Sum(node => node.Slots), "GPU", "GPUs")}: {states}"
                + (away.Count == 1 ? $". {away[0].Name}: {away[0].Reason}" : ""));
        return answer.With(away.Select(node => (node.Name, Places.Standing(node.State, node.Reason)))).See("/cluster", "dsops cluster");
    }

    private static Answer Lemon(Facts facts)
    {
        var bad = facts.Cluster!.Nodes.Where(node => node.LemonScore > 0).OrderByDescending(node => node.LemonScore)
            .ThenBy(node => node.Name, StringComparer.Ordinal).ToList();
        return (bad.Count == 0 ? Answer.Of("None: no node has ended an attempt lately")
                : Answer.Of($"{bad[0].Name} fails most: its score is {Score(bad[0].LemonScore)}"
                    + (bad.Count > 1 ? $", the next is {bad[1].Name} with {Score(bad[1].LemonScore)}" : ", and no other has one")))
            .With(bad.Select(node => (node.Name, $"{Score(node.LemonScore)}, {Places.Standing(node.State, node.Reason)}")))
            .With("score", "failures of attempts on a node, each by its weight and halved with every week")
            .See("/cluster", "dsops cluster --all");
    }

    private static string Score(double score) => score.ToString("0.00", CultureInfo.InvariantCulture);
}
