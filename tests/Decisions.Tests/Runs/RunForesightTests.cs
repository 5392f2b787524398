using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Runs;

/// <summary>What a pause, a cancel and a retry cost is said before they are made.</summary>
public sealed class RunForesightTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly PipelineSpec Pipeline = new()
    {
        Name = "v3",
        Resources = new ResourceSpec { Nodes = 2, RanksPerNode = 8 },
        Stages = [Of("pretrain"), Of("sft")],
    };

    [Fact]
    public void A_cancel_says_the_steps_since_the_last_checkpoint_and_what_becomes_free()
    {
        var told = RunForesight.Cancel(Run("running", Stage("pretrain", "running", 2_186, 2_150), Stage("sft", "waiting", 0, null)),
            Pipeline).Consequences;
        Assert.Equal("pretrain ends now without saving: 36 steps since the checkpoint of step 2,150 are lost, about 6 min of work.",
            told[0]);
        Assert.Equal("16 GPUs on 2 nodes become free for whoever waits.", told[1]);
        Assert.StartsWith("1 stage that has not begun will not begin.", told[2], StringComparison.Ordinal);
    }

    [Fact]
    public void A_pause_loses_no_step_and_of_what_has_ended_nothing_can_be_asked()
    {
        Assert.Contains("loses no step", RunForesight.Pause(Run("running", Stage("pretrain", "running", 30, 20)), Pipeline).Consequences[0],
            StringComparison.Ordinal);
        Assert.Equal("v3 has ended (failed): there is nothing to pause.",
            RunForesight.Pause(Run("failed", Stage("pretrain", "failed", 30, 20)), Pipeline).Impossible);
        var alone = RunForesight.Cancel(Run("running", Stage("pretrain", "running", 30, 20)), Pipeline).Consequences;
        Assert.Equal("Checkpoints stay: a retry or a clone can go on from them.", alone[^1]);
        Assert.StartsWith("Nothing of it runs",
            RunForesight.Cancel(Run("queued", Stage("pretrain", "queued", 0, null)), Pipeline).Consequences[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_retry_says_what_it_sets_aside_of_this_stage_and_of_later_ones()
    {
        var run = Run("failed", Stage("pretrain", "completed", 600, 600), Stage("sft", "failed", 45, 40));
        Assert.Equal("sft goes on from its checkpoint of step 40; 5 steps that it had made are set aside.",
            RunForesight.Retry(run, "", null).Consequences[0]);
        Assert.Equal(["pretrain begins again from step 0; 600 steps that it had made are set aside.",
            "sft comes later and is done again: 45 steps set aside, their results and lines stay on the timeline.",
            "Files of checkpoints are not deleted by it."], RunForesight.Retry(run, "pretrain", 0).Consequences);
        Assert.Equal("v3 has no stage 'nope'; it has pretrain, sft.", RunForesight.Retry(run, "nope", null).Impossible);
    }

    [Fact]
    public void A_plan_counts_the_tokens_of_instances_by_one_function_and_a_stage_of_instances_promises_none()
    {
        var recipe = new StageRecipe.SupervisedFineTuning { Instances = 1_500_000, Epochs = 2, SequenceLength = 32_768, BatchSize = 8 };
        Assert.Equal(4.53e9, recipe.PlannedTokens(), 1e7);
        Assert.True(new StageRecipe.Pretraining().IsToldInTokens && !recipe.IsToldInTokens);
    }

    private static RunView Run(string state, params StageView[] stages) => new("v3", "t", state, "", Now, null, [.. stages], "", false);

    private static StageView Stage(string name, string state, long step, long? checkpoint) => new(
        name, "pretraining", state, "", 1, step, 600, step * 1_000, 0, null, null, 100, null, null, "", [], null, null, null, checkpoint,
        [],
        ImmutableDictionary<string, int>.Empty);

    private static StageSpec Of(string name) => new()
    {
        Name = name, Recipe = new StageRecipe.ReinforcementLearning { Steps = 10, Questions = 1, GroupSize = 2, MaxNewTokens = 1 },
    };
}
