using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Planning;

/// <summary>The published figures of DeepSeek-V3 (arXiv 2412.19437 and 2505.09343), within the error that Calibration states.</summary>
public sealed class PipelineForecastTests
{
    private static readonly ParallelLayout Layout = new()
    {
        Pipeline = 16, Expert = 64, Zero = 1, Schedule = PipelineSchedule.DualPipe, MicroBatch = 1,
    };

    private static readonly PipelineSpec V3 = new()
    {
        Name = "v3", Precision = Precision.Fp8, Optimizer = new AdamW { Bf16Moments = true }, Parallelism = Layout,
        Resources = new ResourceSpec { Nodes = 256, RanksPerNode = 8, Gpu = "h800" },
        Checkpoints = new CheckpointPolicy { EverySteps = 15 },
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
            new StageSpec
            {
                Name = "extend",
                Recipe = new StageRecipe.ContextExtension
                {
                    Phases =
                    [
                        new ContextPhase { Name = "32K", SequenceLength = 32768, Steps = 1000, BatchSize = 1920, ContextParallel = 8 },
                        new ContextPhase { Name = "128K", SequenceLength = 131072, Steps = 1000, BatchSize = 480, ContextParallel = 32 },
                    ],
                },
            },
            new StageSpec
            {
                Name = "sft", Resources = new ResourceSpec { Nodes = 64, RanksPerNode = 8, Gpu = "h800" },
                Parallelism = Layout with { Expert = 32 },
                Recipe = new StageRecipe.SupervisedFineTuning
                {
                    Instances = 1_500_000,
                    Epochs = 2,
                    SequenceLength = 32768,
                    BatchSize = 2800,
                },
            },
            new StageSpec
            {
                Name = "rl", Resources = new ResourceSpec { Nodes = 64, RanksPerNode = 8, Gpu = "h800" },
                Parallelism = Layout with { Expert = 32 },
                Recipe = new StageRecipe.ReinforcementLearning { Steps = 400, Questions = 32, GroupSize = 16, MaxNewTokens = 16384 },
            },
        ],
    };

    private static readonly PipelineForecast Plan = PipelineForecast.Of(V3);

    private static StageForecast Pretrain => Plan.Stages[0];

    [Fact]
    public void A_step_takes_19_9_seconds_of_which_a_tenth_is_bubble()
    {
        Assert.Equal(19.926, Pretrain.LastStep!.Seconds, 0.2);
        Assert.Equal(0.103, Pretrain.LastStep.BubbleShare, 0.003);
        Assert.Equal(120, Pretrain.LastStep.Chunks, 1e-9);
        Assert.Equal(128, Pretrain.LastStep.DataParallel);
    }

    [Fact]
    public void Pretraining_takes_3_7_days_and_180K_hours_per_trillion_tokens_and_54_days_in_all()
    {
        Assert.Equal(3.7, Pretrain.DaysPerTrillionTokens!.Value, 0.05);
        Assert.Equal(180_000, Pretrain.GpuHoursPerTrillionTokens!.Value, 1_800.0);
        Assert.Equal(54.2, Pretrain.Days!.Value, 0.542);
        Assert.Equal(2_664_000, Pretrain.GpuHours!.Value, 26_640.0);
        Assert.Equal(5_328_000, Pretrain.Dollars!.Value, 53_280.0);
    }

    [Fact]
    public void Context_extension_takes_119K_hours_within_a_tenth() =>
        Assert.Equal(119_000, Plan.Stages[1].GpuHours!.Value, 11_900.0);

    [Fact]
    public void Post_training_takes_5K_hours_within_a_half() =>
        Assert.Equal(5_000, (Plan.Stages[2].GpuHours + Plan.Stages[3].GpuHours)!.Value, 2_500.0);

    [Fact]
    public void A_gpu_holds_two_copies_of_1_708_GB_and_everything_fits()
    {
        var memory = Pretrain.Memory!;
        Assert.Equal(1.708e9, memory.WeightsPerCopy, 0.001e9);
        Assert.Equal(2, memory.Copies);
        Assert.Equal(13.1e9, memory.Gradients, 13.1e9 * 0.25);
        Assert.Equal(5.76e9, memory.Optimizer, 5.76e9 * 0.25);
        Assert.InRange(memory.Total, 30e9, memory.Capacity);
    }

    [Fact]
    public void A_checkpoint_has_5_46_TB_and_is_durable_in_two_seconds()
    {
        // 671.0e9 parameters and 11.6e9 of MTP, each with 4 bytes and 2 of each moment; this recipe keeps no average.
        Assert.Equal(5.46e12, Pretrain.CheckpointBytes, 0.01e12);
        Assert.Equal(2, Pretrain.CheckpointSeconds, 0.1);
    }

    [Fact]
    public void The_plan_says_that_the_ramp_begins_below_DualPipes_chunks() =>
        Assert.Contains(Plan.Warnings,
            w => w.Contains("at least 32 micro-batches", StringComparison.Ordinal) && w.Contains("24", StringComparison.Ordinal));

    [Fact]
    public void DualPipe_has_the_smallest_bubble_and_1F1B_the_largest()
    {
        var bubbles = Pretrain.LastStep!.Bubbles;
        Assert.True(bubbles.DualPipe < bubbles.ZeroBubble && bubbles.ZeroBubble < bubbles.OneForwardOneBackward);
        Assert.Equal(2.06, bubbles.DualPipe, 0.03);
    }

    [Theory]
    [InlineData(14.4, 120, 900, 0.917)]
    [InlineData(14.4, 40, 300, 0.956)]
    [InlineData(14.4, 5, 300, 0.981)]
    [InlineData(24.7, 120, 900, 0.940)]
    [InlineData(40.0, 5, 300, 0.990)]
    public void Effective_time_and_best_interval_are_those_of_the_closed_form(double hours, double stall, double recovery, double ettr)
    {
        var between = TimeSpan.FromHours(hours);
        var interval = FailureForecast.BestIntervalOf(between, TimeSpan.FromSeconds(stall), TimeSpan.Zero);
        Assert.Equal(ettr,
            FailureForecast.EttrOf(between, interval, TimeSpan.FromSeconds(stall), TimeSpan.Zero, TimeSpan.FromSeconds(recovery)), 0.001);
    }

    [Theory]
    [InlineData(2.34, 3)]
    [InlineData(3.79, 4)]
    [InlineData(6.5, 5)]
    public void Spares_cover_a_days_failures_at_one_in_a_hundred(double rate, int spares) =>
        Assert.Equal(spares, FailureForecast.SparesFor(256, rate));

    [Fact]
    public void A_failure_comes_every_25_hours_at_2048_gpus() =>
        Assert.Equal(24.7, Pretrain.Failures!.MeanTimeBetween.TotalHours, 0.1);

    [Fact]
    public void Without_a_gpu_there_is_no_time_and_the_plan_says_why()
    {
        var plan = PipelineForecast.Of(V3 with { Resources = new ResourceSpec { Nodes = 256, RanksPerNode = 8 }, Stages = [V3.Stages[0]] });
        Assert.Null(plan.Days);
        Assert.Contains("no GPU is named", Assert.Single(plan.Warnings), StringComparison.Ordinal);
    }
}
