using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What a test says of a node, against what it and the others had before.</summary>
public static class NodeTestJudge
{
    /// <summary>
    /// Ours. Healthy GPUs of one kind lie within a few per cent of each other (stragglers of 2 to 3 % are told from the steps), so a sixth
    /// less is none of their spread; the worst of Fire-Flyer's weekly findings were halves and less.
    /// </summary>
    private const double SlowCompute = 0.85;

    /// <summary>Ours: a call over all ranks carries the spread of all of them.</summary>
    private const double SlowReduce = 0.7;

    /// <summary>Ours: disks are shared with whatever else the machine writes, and a cache of theirs doubles a figure.</summary>
    private const double SlowDisk = 0.4;

    /// <summary>Fewer have no middle worth the name.</summary>
    private const int LeastOthers = 4;
    private const int LeastOwn = 2;

    private static readonly (string Name, double Least, Func<NodeFigures, double?> Of, string Unit, double Per)[] Measures =
    [
        ("matrix products", SlowCompute, f => f.Tflops, "TFLOP/s", 1),
        ("memory", SlowCompute, f => f.MemoryBytesPerSecond, "GB/s", 1e9),
        ("all-reduce", SlowReduce, f => f.ReduceBytesPerSecond, "GB/s", 1e9),
        ("disk writes", SlowDisk, f => f.DiskWriteBytesPerSecond, "GB/s", 1e9),
        ("disk reads", SlowDisk, f => f.DiskReadBytesPerSecond, "GB/s", 1e9),
    ];

    /// <param name="known">Tests before this one, of all nodes.</param>
    /// <param name="speedActs">
    /// A slow node fails. False where nodes are processes of one machine, whose speeds say what else runs there: they are only told.
    /// </param>
    public static NodeTest Judge(
        NodeId node, DateTimeOffset at, string why, NodeFigures measured, ImmutableArray<NodeTest> known, bool speedActs)
    {
        var test = new NodeTest(node, at, why, NodeTestResult.Passed, "") { Figures = measured };
        if (!measured.Wrong.IsEmpty)
        {
            // Wrong numbers are no matter of more or less, and a second test that is right would prove nothing.
            string wrong = string.Join("; ", measured.Wrong);
            return test with { Result = NodeTestResult.Failed, Reason = $"its test found wrong results: {wrong}" };
        }

        if (Slowest(node, measured, known) is not { } slow)
        {
            return test with { Reason = $"all results right{Compared(node, measured, known)}" };
        }

        return !speedActs ? test with { Reason = $"all results right; {slow}, which only tells what else runs on this machine" }
            : NodeTests.Newest(known, node) is { Result: NodeTestResult.Suspect or NodeTestResult.Failed, Released: false }
                ? test with { Result = NodeTestResult.Failed, Reason = $"its test found it slow twice: {slow}" }
                : test with { Result = NodeTestResult.Suspect, Reason = $"{slow}; it is tested once more" };
    }

    /// <summary>A test without a result: what keeps a node from being tested says nothing of the node.</summary>
    public static NodeTest Untested(NodeId node, DateTimeOffset at, string why, string trouble, ImmutableArray<NodeTest> known) =>
        // What was known before stays: a node that failed does not pass because its next test could not be run.
        NodeTests.Newest(known, node) is { Result: NodeTestResult.Failed, Released: false } failed
            ? failed with { At = at, Why = why, Reason = $"{failed.Reason.Split(" (then ")[0]} (then it could not be tested: {trouble})" }
            : new NodeTest(node, at, why, NodeTestResult.Inconclusive, $"it could not be tested: {trouble}");

    /// <summary>The measure that lies furthest below what is usual, in words; null: none lies too far.</summary>
    private static string? Slowest(NodeId node, NodeFigures measured, ImmutableArray<NodeTest> known) => (
        from m in Measures
        let has = m.Of(measured)
        where has is not null
        from usual in Usual(node, measured.Device, known, m.Of)
        let share = has.Value / usual.Median
        where share < m.Least
        orderby share / m.Least
        select string.Create(CultureInfo.InvariantCulture, $"{m.Name} at {Short(has.Value / m.Per)} {m.Unit}, {share:0%} of ")
            + $"{usual.Whose} ({Short(usual.Median / m.Per)})").FirstOrDefault();

    private static string Short(double value) => value.ToString(value >= 100 ? "0" : "0.00", CultureInfo.InvariantCulture);

    private static string Compared(NodeId node, NodeFigures measured, ImmutableArray<NodeTest> known) =>
        Usual(node, measured.Device, known, f => f.MemoryBytesPerSecond).Any() ? ", no measure is slow"
            : "; there is nothing yet to compare its speeds with";

    /// <summary>The middle of the other nodes' newest passed tests, and of its own earlier ones.</summary>
    private static IEnumerable<(double Median, string Whose)> Usual(
        NodeId node, string device, ImmutableArray<NodeTest> known, Func<NodeFigures, double?> of)
    {
        var passed = known.Where(t => t.Result == NodeTestResult.Passed && t.Figures?.Device == device && of(t.Figures) is > 0).ToArray();
        double[] others = [.. passed.Where(t => t.Node != node).GroupBy(t => t.Node).Select(n => of(n.Last().Figures!)!.Value).Order()];
        double[] own = [.. passed.Where(t => t.Node == node).Select(t => of(t.Figures!)!.Value).Order()];
        if (others.Length >= LeastOthers)
        {
            yield return (others[others.Length / 2], $"the middle of {others.Length} other nodes");
        }

        if (own.Length >= LeastOwn)
        {
            yield return (own[own.Length / 2], "its own usual");
        }
    }
}
