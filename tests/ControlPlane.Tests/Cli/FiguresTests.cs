using CsCheck;
using DeepSeekOps.Dashboard.Words;
using Xunit;
using Printed = DeepSeekOps.ControlPlane.Cli.Words;
using Sentences = DeepSeekOps.Decisions.Words;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>One kind of figure has one form, whoever writes it: sentences and the command line from one room, pages from another.</summary>
public sealed class FiguresTests
{
    [Fact]
    public void A_figure_is_written_the_same_on_pages_and_in_sentences() =>
        Gen.Select(Gen.Double[-15, 20], Gen.Double[0, 10], Gen.Bool).Sample(Same);

    private static void Same(double power, double first, bool below)
    {
        double value = (below ? -first : first) * Math.Pow(10, power);
        Assert.Equal(Sentences.Short(value), Figures.Count(value));
        Assert.Equal(Sentences.Loss(value), Figures.Loss(value));
        Assert.Equal(Sentences.Small(value), Figures.Small(value));
        Assert.Equal(Sentences.Percent(value), Figures.Percent(value));
        Assert.Equal(Sentences.GpuHours(Math.Abs(value)), Figures.GpuHours(Math.Abs(value)));
        Assert.Equal(Sentences.Size(Math.Abs(value)), Figures.Bytes(Math.Abs(value)));
        var span = TimeSpan.FromTicks((long)Math.Clamp(Math.Abs(value) * TimeSpan.TicksPerSecond, 0, TimeSpan.TicksPerDay * 1e5));
        Assert.Equal(Sentences.Duration(span), Figures.Duration(span));
    }

    [Theory]
    [InlineData(double.NaN, "NaN")]
    [InlineData(double.PositiveInfinity, "+∞")]
    [InlineData(21626.6172, "2.16e4")]
    [InlineData(9999.5, "9999.5000")]
    [InlineData(0.909, "0.9090")]
    [InlineData(-4.73e-6, "-4.7e-6")]
    public void A_loss_has_four_places_or_a_power(double value, string words) =>
        Assert.Equal((words, words, words), (Sentences.Loss(value), Figures.Loss(value), Printed.Figure(value)));

    [Theory]
    [InlineData(0, "0")]
    [InlineData(7.66e-6, "< 0.001")]
    [InlineData(1.35e-3, "0.001")]
    [InlineData(0.0271, "0.027")]
    [InlineData(0.5, "0.50")]
    [InlineData(12.4, "12.40")]
    [InlineData(2_788_000, "2,788,000")]
    public void Hours_of_gpus_are_read_without_powers_of_ten(double hours, string words) =>
        Assert.Equal((words, words), (Sentences.GpuHours(hours), Figures.GpuHours(hours)));

    [Theory]
    [InlineData(0, "0 s")]
    [InlineData(0.0001, "0 s")]
    [InlineData(0.31, "310 ms")]
    [InlineData(0.9996, "1 s")]
    [InlineData(2.34, "2.3 s")]
    [InlineData(60.8, "60.8 s")]
    [InlineData(99.97, "1 min 40 s")]
    [InlineData(120, "2 min")]
    [InlineData(125, "2 min 5 s")]
    [InlineData(3599.7, "1 h")]
    [InlineData(5400, "1 h 30 min")]
    [InlineData(86399, "1 d")]
    [InlineData(93600, "1 d 2 h")]
    public void A_duration_has_one_unit_or_two(double seconds, string words)
    {
        var span = TimeSpan.FromSeconds(seconds);
        Assert.Equal((words, words, words), (Sentences.Duration(span), Figures.Duration(span), Printed.Time(span)));
    }

    [Theory]
    [InlineData("needs 1 node; 4 gangs ahead; starts in 2 min 4 s", "needs 1 node; 3 gangs ahead; starts in 59 s", true)]
    [InlineData("trains at step 12", "trains at step 13", true)]
    [InlineData("needs 1 node; 2 gangs ahead", "needs 1 node; first in the queue", false)]
    [InlineData("placed on node-0", "placed on node-1", false)]
    [InlineData("waits for mini/sft", "waits for mini/rl", false)]
    public void A_reason_with_other_figures_is_no_news(string one, string other, bool same) =>
        Assert.Equal(same, Sentences.SameButFigures(one, other));
}
