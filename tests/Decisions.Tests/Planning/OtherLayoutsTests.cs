using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Planning;

/// <summary>What the plan says where it leaves the step that it is calibrated on.</summary>
public sealed class OtherLayoutsTests
{
    private static readonly PipelineSpec V3 = new()
    {
        Name = "v3", Precision = Precision.Fp8, Optimizer = new AdamW { Bf16Moments = true },
        Parallelism = new ParallelLayout { Pipeline = 16, Expert = 64, Zero = 1, Schedule = PipelineSchedule.DualPipe },
        Resources = new ResourceSpec { Nodes = 256, RanksPerNode = 8, Gpu = "h800" },
        Stages =
        [
            new StageSpec
            {
                Name = "pretrain",
                Recipe = new StageRecipe.Pretraining
                {
                    Tokens = 14_800_000_000_000, SequenceLength = 4096,
                    BatchSize = new BatchRamp { From = 3072, To = 15360, OverTokens = 469_000_000_000, Micro = 128 },
                },
            },
        ],
    };

    [Theory]
    [InlineData(64, 8, 3.5, 7)]
    [InlineData(8, 8, 0, 7)]
    [InlineData(16, 8, 1, 7)]
    [InlineData(32, 8, 3, 7)]
    [InlineData(64, 1, 7.875, 0)]
    [InlineData(1, 8, 0, 0)]
    public void Expert_traffic_goes_to_at_most_the_limited_nodes_and_over_NVLink_within_one(int expert, int ranksPerNode, double fabric,
        double nvlink)
    {
        var traffic = ExpertTraffic.Of(new ModelShape(), new ParallelLayout { Expert = expert }, ranksPerNode);
        Assert.Equal(fabric, traffic.FabricCopies, 1e-9);
        Assert.Equal(nvlink, traffic.NvlinkCopies, 1e-9);
    }

    /// <summary>
    /// Six ranks a node, four share experts: two of three groups lie on one node each, the one between is cut in halves, which lie on no
    /// whole node. Its tokens go to each of four GPUs by itself, half of which are elsewhere.
    /// </summary>
    [Theory]
    [InlineData(4, 6, 2, 1)]
    [InlineData(12, 8, 3.555555556, 3.777777778)]
    public void Where_nodes_cut_an_expert_group_unevenly_its_traffic_is_that_of_ranks(
        int expert, int ranksPerNode, double fabric, double nvlink)
    {
        var traffic = ExpertTraffic.Of(new ModelShape(), new ParallelLayout { Expert = expert }, ranksPerNode);
        Assert.Equal(fabric, traffic.FabricCopies, 1e-6);
        Assert.Equal(nvlink, traffic.NvlinkCopies, 1e-6);
    }

    /// <summary>Three groups on two nodes: the middle one lies on both, so that a token of one group may go to two nodes.</summary>
    [Fact]
    public void A_group_that_lies_across_two_nodes_may_send_to_both()
    {
        var model = new ModelShape { Groups = 3, LimitedGroups = 1, RoutedExperts = 48 };
        Assert.Equal(1, ExpertTraffic.Of(model, new ParallelLayout { Expert = 16 }, ranksPerNode: 8).FabricCopies);
    }

    [Fact]
    public void Nodes_that_cut_expert_groups_unevenly_draw_a_warning()
    {
        Assert.DoesNotContain(PipelineForecast.Of(V3).Warnings, w => w.Contains("share experts", StringComparison.Ordinal));
        var uneven = V3 with { Parallelism = V3.Parallelism with { Expert = 12 } };
        Assert.Contains(
            PipelineForecast.Of(uneven).Warnings,
            w => w.StartsWith("pretrain: nodes of 8 ranks cut the 12 that share experts (parallelism.expert) unevenly",
                StringComparison.Ordinal));
    }

    [Fact]
    public void Experts_of_one_node_use_no_fabric()
    {
        var step = StepOf(V3 with { Parallelism = new ParallelLayout { Expert = 8 }, Resources = V3.Resources with { Nodes = 1 } });
        Assert.Equal(0, step.AllToAllSeconds);
        Assert.True(step.NodeAllToAllSeconds > 0);
    }

    [Fact]
    public void Training_in_BF16_takes_about_a_third_longer_and_says_what_is_assumed()
    {
        var (low, high) = (StepOf(V3), PipelineForecast.Of(V3 with { Precision = Precision.Bf16 }));
        Assert.InRange(high.Stages[0].LastStep!.BusySeconds / low.BusySeconds, 1.2, 1.45);
        Assert.Contains(high.Calibrated,
            w => w.Contains("(assumed)", StringComparison.Ordinal) && w.StartsWith("bf16", StringComparison.Ordinal));
    }

    [Fact]
    public void The_optimizers_time_is_that_of_the_states_which_a_rank_holds()
    {
        Assert.Equal(0.29, StepOf(V3).OptimizerSeconds, 0.001);
        var small = V3 with
        {
            Model = new ModelShape
            {
                Layers = 27,
                HiddenSize = 2048,
                RoutedExperts = 64,
                IntermediateSize = 10944,
                MoeIntermediateSize = 1408,
            },
        };
        Assert.InRange(StepOf(small).OptimizerSeconds, 0, 0.03);
    }

    [Fact]
    public void The_small_error_is_stated_for_the_calibrated_point_alone()
    {
        Assert.Contains("1 % at the calibrated point (V3, 2048 H800, FP8), context", Error(V3), StringComparison.Ordinal);
        string other = Error(V3 with { Precision = Precision.Bf16, Resources = V3.Resources with { Nodes = 8, Gpu = "h100" } });
        Assert.Contains("outside of it (h100, 64 GPUs, bf16): an estimate of about ±30 %", other, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_nothing_is_timed_no_error_is_stated()
    {
        string only = Assert.Single(PipelineForecast.Of(V3 with { Resources = new ResourceSpec() }).Calibrated);
        Assert.Contains("nothing is timed", only, StringComparison.Ordinal);
    }

    private static StepForecast StepOf(PipelineSpec spec) => PipelineForecast.Of(spec).Stages[0].LastStep!;

    private static string Error(PipelineSpec spec) => PipelineForecast.Of(spec).Calibrated[^1];
}
