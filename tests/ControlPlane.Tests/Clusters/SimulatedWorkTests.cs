using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Tests.Pipelines;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

public sealed class SimulatedWorkTests
{
    /// <summary>It was drawn anew: each recovery of a simulated run ended with a person who had to look at two losses.</summary>
    [Fact]
    public void A_step_that_is_made_again_has_the_loss_that_it_had()
    {
        var work = new SimulatedWork(PipelineText.Parse(Examples.Read("deepseek-v3")).Spec!, "pretrain");
        var first = work.Sample(826, 10_000_000_000, 8, 1, DateTimeOffset.UnixEpoch);
        var again = work.Sample(826, 10_000_000_000, 11, 3, DateTimeOffset.UnixEpoch.AddHours(1));
        Assert.Equal((first.Loss, first.GradNorm), (again.Loss, again.GradNorm));

        var few = Enumerable.Range(1, 200).Select(step => work.Sample(step, 10_000_000_000, 8, 1, DateTimeOffset.UnixEpoch).Loss).ToArray();
        Assert.Equal(few.Length, few.Distinct().Count());
        double mean = few.Average(), spread = Math.Sqrt(few.Average(loss => (loss - mean) * (loss - mean))) / mean;
        Assert.InRange(spread, 0.003, 0.005);
    }
}
