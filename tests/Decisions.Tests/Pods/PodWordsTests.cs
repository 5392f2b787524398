using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Pods;

/// <summary>What a cluster says of its pods stands in the sentences of their stage.</summary>
public sealed class PodWordsTests
{
    private readonly RunningStage running = new();

    [Fact]
    public void A_pod_that_the_cluster_ended_says_why()
    {
        var evicted = running.Pod with { Phase = PodPhase.Exited, Cause = "Evicted: The node was low on resource: memory" };
        var failure = FaultDetector.Find(
            running.Stage.Watched, running.Gang, running.Observe(running.Now, running.With(evicted)), running.Now.At)!;
        Assert.EndsWith(": Evicted: The node was low on resource: memory", failure.Sentence, StringComparison.Ordinal);
        Assert.Contains($"the agent on {running.Node} ended at step", failure.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_start_that_waits_for_an_image_says_so()
    {
        var starting = running.Stage with { Phase = new Phase.Starting(running.Gang, Since: running.Now.At), Latest = null };
        var waits = running.Pod with { Phase = PodPhase.Pending, Cause = "ImagePullBackOff: Back-off pulling image \"worker\"" };
        var seen = Vitals.Fresh(running.Now).Observe(starting.Watched, running.With(waits), running.Now);
        var decision = StagePlanner.Decide(starting, seen, running.Now.At);
        Assert.EndsWith($"; 1 pod waits, on {running.Node}: ImagePullBackOff: Back-off pulling image \"worker\"", decision.Reason,
            StringComparison.Ordinal);
    }
}
