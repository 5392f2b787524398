using System.Collections.Immutable;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

public sealed class SaveOverdueTests
{
    private readonly StageWorld world = new();

    [Fact]
    public void A_pause_while_no_checkpoint_becomes_durable_keeps_training_and_says_why()
    {
        var stage = Trained();
        var waits = Decide(stage, stage.Checkpoints[^1].Made.Step + (2 * Every(stage)) + 1);
        Assert.IsType<Phase.Running>(waits.Next.Phase);
        Assert.Contains("the pause waits for a checkpoint", waits.Reason, StringComparison.Ordinal);
        Assert.Contains($"last durable checkpoint: step {stage.Checkpoints[^1].Made.Step}, {(2 * Every(stage)) + 1} steps ago",
            waits.Reason, StringComparison.Ordinal);
        var training = Decide(stage with { Wish = stage.Wish with { Intent = Intent.Train } },
            stage.Checkpoints[^1].Made.Step + (2 * Every(stage)) + 1);
        Assert.Contains("last durable checkpoint", training.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pause_stops_once_checkpoints_are_durable_as_they_should()
    {
        var stage = Trained();
        Assert.IsType<Phase.Stopping>(Decide(stage, stage.Checkpoints[^1].Made.Step + (2 * Every(stage))).Next.Phase);
    }

    [Fact]
    public void Bad_input_ends_the_stage_at_once_and_blames_no_node()
    {
        while (world.Stage.Phase is not Phase.Running)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        world.Live.First().EndRank(ExitCodes.BadInput, "data.jsonl, line 3: no JSON.");
        world.Apply(Happening.Beat);
        world.Apply(Happening.Tick);
        var told = Assert.Single(world.History.SelectMany(s => s.Outbox).Distinct(), e => e.Kind == "bad-input");
        Assert.Equal("", told.Node);
        Assert.Contains("bad input: data.jsonl, line 3: no JSON", told.Text, StringComparison.Ordinal);
        for (int i = 0; i < 5; i++)
        {
            world.Apply(Happening.Tick);
        }

        var failed = Assert.IsType<Phase.Failed>(world.Stage.Phase);
        Assert.Contains("Mend it", failed.Why, StringComparison.Ordinal);
        Assert.Empty(world.Stage.Avoid);
        Assert.Equal(1, world.Stage.Attempt);
    }

    private Stage Trained()
    {
        while (world.Stage.Checkpoints.IsEmpty || world.Stage.Phase is not Phase.Running)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        return world.Stage with { Wish = world.Stage.Wish with { Intent = Intent.Pause } };
    }

    private Decision Decide(Stage stage, long step) => StagePlanner.Decide(stage, world.Vitals.Observe(stage.Watched, null, world.Seen) with
    {
        News = News.None,
        Latest = new StepSample(step, world.Now, "", 1, 1, 1, step, 0.2, stage.Attempt, ImmutableDictionary<string, double>.Empty),
    }, world.Now);

    private static long Every(Stage stage) => stage.Wish.Pipeline.Checkpoints.EverySteps;
}
