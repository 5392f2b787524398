using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.ControlPlane.Tests.Pipelines;
using DeepSeekOps.Decisions.Health;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>A step whose batch had nothing to learn is a gap in the curves, not a loss of 0 at fifteen times the device's peak.</summary>
public sealed class SampleSeriesTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 27, 5, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(0, false)]
    [InlineData(6, true)]
    public void A_step_of_nothing_has_neither_loss_nor_norm_nor_pace(double answers, bool learned)
    {
        var pipeline = DeepSeekOps.ControlPlane.Pipelines.PipelineText.Parse(Examples.Read("mini")).Spec!;
        var sft = pipeline.Stages.First(s => s.Kind == "sft");
        var before = Sample(1, 100, 6);
        var sample = Assert.Single(Pace.AddTo([Sample(2, 900, answers)], before, pipeline, sft.Name));
        string[] names = [.. SampleSeries.Of(sample).Select(v => v.Name)];
        Assert.All((string[])["loss", "grad_norm", "tokens_per_second"], name => Assert.Equal(learned, names.Contains(name)));
        Assert.Contains("answer_tokens", names);
    }

    private static StepSample Sample(long step, long tokens, double answers) => new(
        step, Now, "", 1, 0, 1e-3, tokens, 0.001, 1,
        ImmutableDictionary<string, double>.Empty.Add("answer_tokens", answers).Add("peak_tflops", 0.1));
}
