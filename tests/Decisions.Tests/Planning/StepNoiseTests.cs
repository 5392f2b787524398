using DeepSeekOps.Decisions.Simulation;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Planning;

public sealed class StepNoiseTests
{
    [Fact]
    public void Measured_steps_keep_the_plans_mean_and_have_the_published_tail()
    {
        var random = new Random(1);
        double[] draws = [.. Enumerable.Range(0, 200_000).Select(_ => StepNoise.Measured.Draw(random)).Order()];
        Assert.Equal(1, draws.Average(), 3);
        // 99 % lie within 6 % of the median in the six runs (1.3 to 5.9 %).
        Assert.InRange(draws[(int)(draws.Length * 0.99)] / draws[draws.Length / 2], 1.013, 1.06);
        double[] core = [.. draws.Skip(draws.Length / 4).Take(draws.Length / 2)];
        Assert.InRange((core[^1] - core[0]) / 2 / 0.6745, 0.0026, 0.0030);
    }

    [Fact]
    public void Without_noise_every_step_takes_the_mean() => Assert.Equal(1, StepNoise.None.Draw(new Random(1)));
}
