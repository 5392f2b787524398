using DeepSeekOps.Decisions.Simulation;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Planning;

public sealed class EstimateTests
{
    [Fact]
    public void The_interval_is_students()
    {
        // Mean 3, deviation sqrt(2.5), t of 4 degrees 2.776: 2.776 * 1.5811 / sqrt(5).
        var estimate = Estimate.Of([1, 2, 3, 4, 5])!;
        Assert.Equal(3, estimate.Mean);
        Assert.Equal(1.963, estimate.HalfWidth!.Value, 3);
    }

    [Fact]
    public void One_draw_has_no_interval() => Assert.Null(Estimate.Of([7])!.HalfWidth);

    [Fact]
    public void With_many_draws_it_is_the_normals()
    {
        double[] draws = [.. Enumerable.Range(0, 400).Select(i => (double)(i % 2))];
        Assert.Equal(1.96 * Math.Sqrt(100.0 / 399) / 20, Estimate.Of(draws)!.HalfWidth!.Value, 6);
    }
}
