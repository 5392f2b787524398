using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Pods;

/// <summary>How pods end: nothing is taken away by force while it may run, and no gang waits for a machine that is gone.</summary>
public sealed class PodEndingTests
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private static readonly GangId Gang = new(new StageId("run", "pretrain"), 1);

    private static readonly Gen<NodeFacts?> Node = Gen.Select(
        Gen.OneOf("True", "False", "Unknown", ""), Gen.Bool, Gen.OneOf("boot-1", "boot-2", ""), Gen.Bool,
        (ready, out_, boot, there) => there ? MachineOf(ready, out_, boot) : null);

    private static readonly Gen<PodFacts> Pod = Gen.Select(
        Gen.OneOf("Pending", "Running", "Succeeded", "Failed", "Unknown"), Gen.OneOf("node", ""), Gen.Bool,
        (phase, node, deleting) => PodOf(phase, node, deleting));

    private static readonly Gen<string> Boot = Gen.OneOf("boot-1", "");

    [Fact]
    public void Force_is_used_only_where_it_is_certain_that_nothing_runs() => Gen.Select(Pod, Node, Boot).Sample((pod, node, boot) =>
    {
        var step = Assert.Single(Steps(pod, node, boot));
        bool certain = pod.Ended || pod.Node.Length == 0 || node is null || node.OutOfService
            || (boot == "boot-1" && node.BootId == "boot-2");
        Assert.Equal(pod.Deleting && certain, step is PodStep.Force);
        Assert.Equal(!pod.Deleting, step is PodStep.Delete);
        Assert.True(step is not PodStep.Delete { Grace: var grace } || grace == TimeSpan.Zero == certain);
        Assert.NotEmpty(step.Why);
    });

    [Fact]
    public void A_gang_goes_on_only_once_each_pod_was_asked_to_end_and_is_gone_or_on_a_node_that_does_not_report() =>
        Gen.Select(Pod.Array[0, 6], Node, Boot).Sample((pods, node, boot) =>
        {
            var steps = Steps(pods, node, boot);
            bool maybe = pods.All(p => p.Deleting && (p.Ended || p.Node.Length == 0 || node is null or { OutOfService: true }
                || node.Ready?.Status != "True" || (boot.Length > 0 && node.BootId.Length > 0 && node.BootId != boot)));
            Assert.Equal(maybe, PodEnding.Certain(steps));
        });

    [Fact]
    public void The_same_is_decided_whatever_the_order_they_are_seen_in() => Gen.Select(Pod.Array[0, 6], Node, Boot).Sample(
        (pods, node, boot) => Assert.Equal(
            Steps(pods, node, boot).Select(s => s.ToString()).Order(),
            Steps([.. pods.Reverse()], node, boot).Select(s => s.ToString()).Order()));

    [Fact]
    public void A_pod_on_a_node_that_reports_is_waited_for()
    {
        var steps = Steps(PodOf("Running", "node", true), MachineOf("True", false, "boot-1"), "boot-1");
        var wait = Assert.IsType<PodStep.Wait>(Assert.Single(steps));
        Assert.False(wait.Fenced);
    }

    private static ImmutableArray<PodStep> Steps(PodFacts pod, NodeFacts? node, string boot) => Steps([pod], node, boot);

    private static ImmutableArray<PodStep> Steps(PodFacts[] pods, NodeFacts? node, string boot) => PodEnding.Of(
        pods, new[] { node }.OfType<NodeFacts>().ToDictionary(n => n.Name),
        pods.Select(p => p.Uid).Distinct().ToDictionary(uid => uid, _ => boot), Grace);

    private static PodFacts PodOf(string phase, string node, bool deleting) =>
        new("dsops", $"pod-{phase}-{node}-{deleting}", $"uid-{phase}-{node}", Gang, node, phase, "", null, 8) { Deleting = deleting };

    private static NodeFacts MachineOf(string ready, bool outOfService, string boot) => new(
        "node", ImmutableDictionary<string, string>.Empty, false,
        outOfService ? [new NodeTaint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")] : [],
        ready.Length == 0 ? [] : [new NodeCondition("Ready", ready, "")], 8, boot);
}
