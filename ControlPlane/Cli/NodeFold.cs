using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>Nodes that are told as one.</summary>
/// <param name="Which">The name of one, "node-0000 and 254 others".</param>
/// <param name="Used">Of so many slots of all of them.</param>
/// <param name="Work">"deepseek-v3/pretrain try 2", or how many runs.</param>
/// <param name="Ranks">"2040 training, 8 exited".</param>
public sealed record NodesAlike(int Nodes, string Which, string State, int Used, int Slots, string Work, string Ranks, string Why);

/// <summary>
/// A large cluster on one screen: nodes that are alike are one row, whatever lies between them, and the odd ones come first. Where even
/// those are more than a screen has, what runs on them is counted and not named.
/// </summary>
public static class NodeFold
{
    /// <summary>Beside a heading, the facts and a prompt: a terminal has 24 lines or more.</summary>
    public const int InFull = 16;

    public static IReadOnlyList<NodesAlike> Of(IReadOnlyList<Node> nodes)
    {
        var alike = Fold(nodes, node => (node.State, Work(node), Why(node), Odd(node)));
        if (alike.Count <= InFull)
        {
            return alike;
        }

        // Many small runs, or many reasons: nodes in trouble keep theirs for as long as there is room.
        var trouble = nodes.Where(node => node.State != "ready").ToList();
        bool room = trouble.Count < InFull - 4;
        return Fold(nodes, node => (node.State, Busy(node), room && node.State != "ready" ? node.Name : "", node.Spare));
    }

    private static List<NodesAlike> Fold<T>(IReadOnlyList<Node> nodes, Func<Node, T> key) =>
        [.. nodes.GroupBy(key).Select(group => Of([.. group])).OrderBy(group => group.Nodes)
            .ThenBy(group => group.Which, StringComparer.Ordinal)];

    private static NodesAlike Of(Node[] nodes) => new(
        nodes.Length, nodes[0].Name + nodes.Length switch { 1 => "", 2 => " and 1 other", var all => $" and {Text(all - 1)} others" },
        nodes[0].State,
        nodes.Sum(n => n.SlotsUsed), nodes.Sum(n => n.Slots), One(nodes.Select(Work), "stages"), States(nodes),
        One(nodes.Select(Why), "reasons"));

    /// <summary>What all of them have, or how many different ones there are.</summary>
    private static string One(IEnumerable<string> texts, string many)
    {
        string[] different = [.. texts.Where(text => text.Length > 0).Distinct()];
        return different.Length switch { 0 => "", 1 => different[0], var count => $"{Text(count)} {many}" };
    }

    private static string Work(Node node) => node.Run.Length == 0 ? ""
        : $"{node.Run}/{node.Stage}{(node.Attempt > 0 ? $" try {Text(node.Attempt)}" : "")}";

    private static string Why(Node node) => string.Join("; ", new[]
    {
        node.Spare ? "spare" : "", node.Reason == node.State ? "" : node.Reason,
        node.LemonScore > 0 ? string.Create(CultureInfo.InvariantCulture, $"lemon {node.LemonScore:0.00}") : "",
    }.Where(part => part.Length > 0));

    private static int Busy(Node node) => node.SlotsUsed == 0 ? 0 : node.SlotsUsed < node.Slots ? 1 : 2;

    /// <summary>A rank that is not as most are is looked for by its node.</summary>
    private static string Odd(Node node) =>
        string.Join(' ', node.Work.SelectMany(work => work.Ranks).Distinct().Order(StringComparer.Ordinal));

    private static string States(IEnumerable<Node> nodes) => string.Join(", ", nodes.SelectMany(n => n.Work).SelectMany(work => work.Ranks)
        .CountBy(state => state).OrderBy(state => state.Value).Select(state => $"{Text(state.Value)} {state.Key}"));

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
