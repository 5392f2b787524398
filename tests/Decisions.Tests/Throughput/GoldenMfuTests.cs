using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Throughput;

public sealed class GoldenMfuTests
{
    [Theory]
    [InlineData("slides-37.2", 37.16, 2)]
    [InlineData("slides-decimal", 38.96, 2)]
    [InlineData("6nd-v3", 32.958, 3)]
    [InlineData("8nd-v3", 43.944, 3)]
    [InlineData("6nd-llama-405b", 34.569, 3)]
    [InlineData("8nd-llama-405b", 46.091, 3)]
    [InlineData("slides-34", 40.02, 2)]
    [InlineData("slides-43", 51.84, 2)]
    [InlineData("slides-34-decimal", 39.41, 2)]
    [InlineData("slides-43-decimal", 50.95, 2)]
    [InlineData("isca-mpft-causal", 38.942, 3)]
    [InlineData("isca-mpft-non-causal", 43.728, 3)]
    [InlineData("isca-mrft-causal", 38.90, 2)]
    [InlineData("isca-mrft-non-causal", 43.68, 2)]
    [InlineData("isca-causal-tflops", 385.14, 2)]
    [InlineData("isca-non-causal-tflops", 432.47, 2)]
    [InlineData("isca-gflop-per-token", 249.814720512, 9)]
    [InlineData("corrected-causal", 39.06, 2)]
    [InlineData("corrected-non-causal", 43.85, 2)]
    [InlineData("corrected-mtp-causal", 40.65, 2)]
    [InlineData("corrected-mtp-non-causal", 45.52, 2)]
    [InlineData("fp8-peak", 19.5, 1)]
    [InlineData("fp8-bf16-roofline", 22.4, 1)]
    [InlineData("llama-405b-attention", 36.0, 1)]
    public void A_figure_is_what_its_formula_gives(string id, double expected, int decimals) =>
        Assert.Equal(expected, Math.Round(GoldenMfu.Table.Single(f => f.Id == id).Computed, decimals), 1e-12);

    [Fact]
    public void What_is_called_reproducible_rounds_to_what_was_published()
    {
        var published = GoldenMfu.Table.Where(f => f is { Published: not null, Reproducible: true }).ToArray();
        Assert.True(published.Length >= 12);
        Assert.All(published, f => Assert.InRange(Math.Abs(f.Computed - f.Published!.Value), 0, f.Published >= 100 ? 0.5 : 0.05));
    }

    [Fact]
    public void Only_the_slides_34_and_43_are_not_reproducible()
    {
        var claimed = GoldenMfu.Table.Where(f => !f.Reproducible).ToArray();
        Assert.Equal([34, 43], claimed.Select(f => f.Published!.Value).Distinct());
        Assert.All(claimed, f => Assert.True(Math.Abs(f.Computed - f.Published!.Value) > 1, f.Id));
    }

    [Fact]
    public void Ids_are_unique() => Assert.Equal(GoldenMfu.Table.Length, GoldenMfu.Table.Select(f => f.Id).Distinct().Count());

    [Fact]
    public void V3_has_the_parameters_of_its_checkpoint()
    {
        var v3 = ParameterCount.Of(ModelShape.V3);
        Assert.Equal(
            (187_107_328, 44_040_192, 396_361_728, 1_835_264, 926_679_040), (v3.Attention, v3.Expert, v3.DenseMlp, v3.Gate, v3.Embedding));
        Assert.Equal(671_026_419_200, v3.Total);
        Assert.Equal(37.55, v3.Active / 1e9, 2);
        Assert.Equal(11.61, v3.MtpBlock / 1e9, 2);
    }

    [Fact]
    public void V2_has_the_parameters_of_its_checkpoint()
    {
        var v2 = ParameterCount.Of(ModelShape.V2);
        Assert.Equal(235.74, v2.Total / 1e9, 2);
        Assert.Equal(21.38, v2.Active / 1e9, 2);
    }

    [Fact]
    public void Attention_costs_what_the_fact_sheet_says_at_longer_context()
    {
        // 465.4 and 1202.2 GFLOP per token of the two extension phases, with the gate and without MTP.
        Assert.Equal(465.4, 3 * TokenFlops.Of(ModelShape.V3, 32768).MainForward / 1e9, 1);
        Assert.Equal(1202.2, 3 * TokenFlops.Of(ModelShape.V3, 131072).MainForward / 1e9, 1);
    }

    [Fact]
    public void Live_utilisation_at_the_published_throughput_is_near_the_published_figure()
    {
        var stage = new StageSpec { Name = "p", Recipe = new StageRecipe.Pretraining { Tokens = 1, SequenceLength = 4096 } };
        var spec = new PipelineSpec { Stages = [stage], Resources = new ResourceSpec { Nodes = 256, RanksPerNode = 8, Gpu = "h800" } };
        // 40.6 with gate and MTP, where the published 38.94 counts neither.
        Assert.Equal(0.406, Mfu.Live(spec, stage, 1, 272.80e9 / 86400)!.Value, 3);
        Assert.Null(Mfu.Live(spec with { Resources = new ResourceSpec() }, stage, 1, 1000));
        Assert.Equal(0.5,
            Mfu.Live(spec with { Resources = new ResourceSpec() }, stage, 1, 0.5e12 / Mfu.FlopsPerToken(spec, stage, 1)!.Value, 1.0)!.Value,
            9);
        Assert.Null(Mfu.Live(spec, stage with { Recipe = new StageRecipe.ReinforcementLearning() }, 1, 1000));
    }
}
