using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Planning;

public sealed class ShrunkLayoutsTests
{
    private static readonly PipelineSpec V3 = new()
    {
        Name = "v3",
        Precision = Precision.Fp8,
        Optimizer = new AdamW { Bf16Moments = true },
        Resources = new ResourceSpec { Nodes = 256, RanksPerNode = 8, Gpu = "h800" },
        Parallelism = new ParallelLayout { Pipeline = 16, Expert = 64, Zero = 1, Schedule = PipelineSchedule.DualPipe, MicroBatch = 1 },
        Stages =
        [
            new StageSpec
            {
                Name = "pretrain",
                Recipe = new StageRecipe.Pretraining
                {
                    Tokens = 14_800_000_000_000, SequenceLength = 4096,
                    BatchSize = new BatchRamp { From = 3072, To = 15360, OverTokens = 469_000_000_000, MultipleOf = 128 },
                },
            },
        ],
    };

    [Fact]
    public void V3_on_one_node_less_drops_a_replica_for_half_its_pace_or_deals_its_experts_again_for_six_percent()
    {
        var ways = ShrunkLayouts.Of(V3, V3.Stages[0], 255);
        Assert.Equal([ShrinkWay.ExpertsDealtUnevenly, ShrinkWay.FewerReplicas], ways.Select(w => w.Way));
        var (dealt, dropped) = (ways[0], ways[1]);
        Assert.Equal((255, 2), (dealt.Nodes, dealt.Replicas));
        Assert.InRange(dealt.Rate, 0.93, 0.96);
        Assert.True(dealt.OnlySimulated);
        Assert.Equal((128, 1, 64), (dropped.Nodes, dropped.Replicas, dropped.Expert));
        Assert.InRange(dropped.Rate, 0.49, 0.53);
        Assert.False(dropped.OnlySimulated);
        Assert.All(ways, w => Assert.True(w.ByPlan));
        // Sixteen lost nodes are one of each pipeline step, and one more of some step's.
        Assert.Equal(dealt.Rate, ShrunkLayouts.Of(V3, V3.Stages[0], 240)[0].Rate);
        Assert.True(ShrunkLayouts.Of(V3, V3.Stages[0], 239)[0].Rate < dealt.Rate);
        Assert.DoesNotContain(ShrunkLayouts.Of(V3, V3.Stages[0], 127), w => w.Way == ShrinkWay.FewerReplicas);
    }

    [Theory]
    [InlineData(4, 1, 1, 3)]     // dp=4: three replicas of four
    [InlineData(4, 2, 1, 2)]     // pipelines of two nodes: one of two
    [InlineData(4, 1, 4, 3)]     // ep=4, which three ranks cannot share evenly: each has all experts
    [InlineData(2, 1, 2, 1)]
    public void Pipelines_stay_as_long_as_they_are_and_each_step_deals_its_batch_evenly(int nodes, int pipeline, int expert, int on)
    {
        var spec = Small(nodes, pipeline, expert, batch: 24);
        var layout = Assert.Single(ShrunkLayouts.Of(spec, spec.Stages[0], nodes - 1));
        Assert.Equal((on, nodes), (layout.Nodes, layout.Of));
        Assert.Equal((double)on / nodes, layout.Rate, 9);
        var laid = layout.Apply(spec, "pretrain");
        var stage = laid.Stage("pretrain");
        Assert.Equal(pipeline, laid.ParallelismOf(stage).Pipeline);
        Assert.True(laid.ParallelismOf(stage).Fits(laid.ResourcesOf(stage).Ranks));
        // The batch, its order and all else of the recipe are those of the whole layout.
        Assert.Same(spec.Stages[0].Recipe, stage.Recipe);
    }

    [Fact]
    public void A_batch_that_cannot_be_dealt_evenly_to_ranks_that_share_experts_is_never_the_layout()
    {
        // Four of six nodes would have two pairs, and 18 rows are not four equal shares.
        var spec = Small(6, 1, 2, batch: 18);
        var layout = Assert.Single(ShrunkLayouts.Of(spec, spec.Stages[0], 5), w => w.Way == ShrinkWay.FewerReplicas);
        Assert.Equal(2, layout.Nodes);
    }

    [Fact]
    public void A_layout_that_needs_each_node_says_so()
    {
        var spec = Small(2, 2, 1, batch: 8);
        Assert.Empty(ShrunkLayouts.Of(spec, spec.Stages[0], 1));
        Assert.Contains("one replica of each part of the model (dp=1 of pp=2, ep=1), so every node is needed",
            ShrunkLayouts.WhyNone(spec, spec.Stages[0]), StringComparison.Ordinal);
        Assert.Equal("it is on one node", ShrunkLayouts.WhyNone(Small(1, 1, 1, 8), Small(1, 1, 1, 8).Stages[0]));
        Assert.Equal("", ShrunkLayouts.WhyNone(Small(2, 1, 1, 8), Small(2, 1, 1, 8).Stages[0]));
    }

    private static PipelineSpec Small(int nodes, int pipeline, int expert, int batch) => new()
    {
        Name = "small",
        Resources = new ResourceSpec { Nodes = nodes },
        Parallelism = new ParallelLayout { Pipeline = pipeline, Expert = expert },
        Stages =
        [
            new StageSpec
            {
                Name = "pretrain",
                Recipe = new StageRecipe.Pretraining { Tokens = 100_000, SequenceLength = 64, BatchSize = BatchRamp.Constant(batch) },
            },
        ],
    };
}
