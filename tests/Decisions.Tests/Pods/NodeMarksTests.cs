using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Pods;

/// <summary>Which nodes are made unschedulable for a cordon of ours, and which are given back.</summary>
public sealed class NodeMarksTests
{
    private const string Us = "dsops/dsops";

    private static readonly PodSettings Settings = new();

    [Fact]
    public void A_cordon_is_shown_once_and_taken_back_when_it_is_lifted()
    {
        var cordoned = new Dictionary<string, string> { ["n"] = "fans" };
        Assert.Equal([new NodeMark.Set("n", "fans")], NodeMarks.Of([Node(false, "")], cordoned, Settings));
        Assert.Empty(NodeMarks.Of([Node(true, Us)], cordoned, Settings));
        Assert.Equal([new NodeMark.Lift("n")], NodeMarks.Of([Node(true, Us)], new Dictionary<string, string>(), Settings));
        Assert.Empty(NodeMarks.Of([Node(false, "")], new Dictionary<string, string>(), Settings));
    }

    [Fact]
    public void A_mark_that_was_taken_off_by_hand_comes_back_while_the_cordon_stands() =>
        Assert.Equal([new NodeMark.Set("n", "fans")],
            NodeMarks.Of([Node(false, Us)], new Dictionary<string, string> { ["n"] = "fans" }, Settings));

    [Fact]
    public void Of_our_own_mark_the_cordon_here_tells_and_of_anybody_elses_the_node_does()
    {
        Assert.Equal(NodeHealth.Ready, NodeReading.Of(Node(true, Us), [], Settings).Health);
        Assert.Equal(NodeHealth.Cordoned, NodeReading.Of(Node(true, "other/dsops"), [], Settings).Health);
        Assert.Equal(NodeHealth.Cordoned, NodeReading.Of(Node(true, ""), [], Settings).Health);
    }

    [Fact]
    public void Whatever_stands_there_what_others_cordoned_is_left_alone_and_the_next_look_has_nothing_to_do() =>
        Gen.Select(Gen.Bool, Gen.Int[0, 2], Gen.Bool).Sample((unschedulable, who, wanted) =>
        {
            string by = who switch { 0 => "", 1 => Us, _ => "other/dsops" };
            var node = Node(unschedulable, by);
            var cordoned = wanted ? new Dictionary<string, string> { ["n"] = "why" } : [];
            foreach (var mark in NodeMarks.Of([node], cordoned, Settings))
            {
                Assert.True(by is "" or Us);
                Assert.False(unschedulable && by != Us);
                node = mark is NodeMark.Set ? Node(true, Us) : Node(false, "");
            }

            Assert.Empty(NodeMarks.Of([node], cordoned, Settings));
        });

    private static NodeFacts Node(bool unschedulable, string by) => new(
        "n", ImmutableDictionary<string, string>.Empty, unschedulable, [], [new NodeCondition("Ready", "True", "")], 8, "boot")
    { CordonedBy = by };
}
