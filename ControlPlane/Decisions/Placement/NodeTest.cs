using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What one test of a node measured. Null: it was not measured there.</summary>
public sealed record NodeFigures
{
    /// <summary>What was computed on: "cpu", "8 x cuda". Only what was measured on the same is compared.</summary>
    public string Device { get; init; } = "";

    /// <summary>
    /// What came out other than it has to: a product that differed from itself or from the known one, a sum over ranks, bytes read back
    /// from memory or disk. Empty: all was right.
    /// </summary>
    public ImmutableArray<string> Wrong { get; init; } = [];

    /// <summary>Of the slowest GPU, in matrix products.</summary>
    public double? Tflops { get; init; }

    /// <summary>Of the slowest GPU's memory, or the machine's own: bytes read and written in a second.</summary>
    public double? MemoryBytesPerSecond { get; init; }

    public double? DiskWriteBytesPerSecond { get; init; }

    public double? DiskReadBytesPerSecond { get; init; }

    /// <summary>An all-reduce over the ranks of the node.</summary>
    public double? ReduceBytesPerSecond { get; init; }

    public double Seconds { get; init; }
}

public enum NodeTestResult
{
    Passed = 0,
    /// <summary>Nothing is placed there until it passes, or a person releases it.</summary>
    Failed = 1,
    /// <summary>Slow once: it is tested again at once, and stays in use until then.</summary>
    Suspect = 2,
    /// <summary>It could not be tested, which says nothing of it.</summary>
    Inconclusive = 3,
}

/// <summary>A test of a node that is over.</summary>
/// <param name="Why">Why it was tested: "asked for", "came back".</param>
/// <param name="Reason">What came out, as a sentence.</param>
public sealed record NodeTest(NodeId Node, DateTimeOffset At, string Why, NodeTestResult Result, string Reason)
{
    public NodeFigures? Figures { get; init; }

    /// <summary>A person wants the node to be used all the same.</summary>
    public bool Released { get; init; }
}

/// <summary>Tests that are kept: of each node the newest few, in the order of time.</summary>
public static class NodeTests
{
    /// <summary>Ours: enough for a median of its own, and 256 nodes stay within some hundred kilobytes.</summary>
    public const int KeptOfEach = 5;

    public static ImmutableArray<NodeTest> Add(ImmutableArray<NodeTest> known, NodeTest test)
    {
        var ofNode = known.Where(t => t.Node == test.Node).ToArray();
        var kept = ofNode.Length < KeptOfEach ? known : known.Remove(ofNode[0]);
        return kept.Add(test);
    }

    public static NodeTest? Newest(ImmutableArray<NodeTest> known, NodeId node) => known.LastOrDefault(t => t.Node == node);

    /// <summary>A person lets a node be used again. Nothing to release: the same.</summary>
    public static ImmutableArray<NodeTest> Release(ImmutableArray<NodeTest> known, NodeId node) =>
        Newest(known, node) is { Result: NodeTestResult.Failed, Released: false } failed
            ? known.Replace(failed, failed with { Released = true }) : known;

    /// <summary>Nodes that nothing is placed on, by their newest test, with the reason.</summary>
    public static IEnumerable<Cordon> Cordons(ImmutableArray<NodeTest> known) =>
        known.GroupBy(t => t.Node).Select(of => of.Last()).Where(t => t is { Result: NodeTestResult.Failed, Released: false })
            .Select(t => new Cordon(t.Node, $"{t.Reason}; after the repair `dsops cluster test {t.Node}`, or "
                + $"`dsops cluster uncordon {t.Node}` to use it all the same", t.At, Drains: false));

    /// <summary>Each node with its newest test; one that failed is out of placement unless it is worse off already.</summary>
    public static ClusterSnapshot With(this ClusterSnapshot seen, ImmutableArray<NodeTest> known)
    {
        if (known.IsEmpty)
        {
            return seen;
        }

        var newest = known.GroupBy(t => t.Node).ToDictionary(of => of.Key, of => of.Last());
        return (seen with
        {
            Nodes = [.. seen.Nodes.Select(n => newest.TryGetValue(n.Id, out var test) ? n with { Test = test } : n)],
        }).With([.. Cordons(known)]);
    }
}
