using System.Collections.Immutable;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Runs;

public sealed class RunImportsTests
{
    private static readonly RunManifest File =
        new(1, "1.0", DateTimeOffset.UnixEpoch, "mini", "research", "completed", Simulated: false, ["A", "B"], []);

    private static readonly StageSpec OnlyStage = new()
    {
        Name = "pretrain", Recipe = new StageRecipe.ReinforcementLearning { Steps = 10, Questions = 1, GroupSize = 2, MaxNewTokens = 1 },
    };

    [Theory]
    [InlineData(false, false, "A,B", null)]
    [InlineData(true, true, "A,B", null)]
    [InlineData(true, false, "A,B", "mini was simulated")]
    [InlineData(false, true, "A,B", "mini was really trained")]
    [InlineData(false, false, "A", "it was written by dsops 1.0")]
    [InlineData(false, false, "A,B,C", "it was written by dsops 1.0")]
    [InlineData(false, false, "B,A", "it was written by dsops 1.0")]
    public void What_was_measured_and_what_was_simulated_stay_apart_and_so_do_versions(
        bool simulated, bool simulatedHere, string here, string? why)
    {
        var refusal = RunImports.OfImport(File with { Simulated = simulated }, simulatedHere, [.. here.Split(',')], "2.0");
        Assert.Equal(why is null, refusal is null);
        Assert.StartsWith(why ?? "", refusal?.Why ?? "", StringComparison.Ordinal);
        Assert.True(refusal is null || refusal.Fix.Length > 0);
    }

    [Theory]
    [InlineData("completed", true)]
    [InlineData("failed", true)]
    [InlineData("cancelled", true)]
    [InlineData("running", false)]
    [InlineData("queued", false)]
    [InlineData("paused", false)]
    public void Only_what_has_ended_leaves_whole(string state, bool leaves)
    {
        var run = new RunView("mini", "research", state, "", DateTimeOffset.UnixEpoch, null, ImmutableArray<StageView>.Empty, "", false);
        Assert.Equal(leaves, RunImports.OfExport(run) is null);
    }

    [Theory]
    [InlineData("as it was exported", null)]
    [InlineData("of another name", "its state is of a run other")]
    [InlineData("of another team", "its state is of team others")]
    [InlineData("that goes on", "the run has not ended in it")]
    [InlineData("with a stage of another run", "a stage other/pretrain is in it, which the run does not have")]
    [InlineData("with a stage that it has not", "a stage mini/nine is in it, which the run does not have")]
    [InlineData("with a stage twice", "a stage is in it twice")]
    [InlineData("with a stage that goes on", "stage mini/pretrain has not ended in it")]
    public void What_a_file_says_of_its_run_is_not_believed(string what, string? why)
    {
        var spec = new PipelineSpec
        {
            Name = "mini", Team = "research", Stages = [OnlyStage],
        };
        var run = RunCommands.Begin(new RunSubmission("mini", spec, ""), DateTimeOffset.UnixEpoch) with
        {
            Phase = new RunPhase.Completed(DateTimeOffset.UnixEpoch),
        };
        var wish = new StageWish(new StageId("mini", "pretrain"), 1, Intent.Train, "", run.Stages[0].Work, spec, null, null, null);
        var stage = Stage.New(wish) with
        {
            Phase = new Phase.Cancelled(DateTimeOffset.UnixEpoch),
        };
        Stage Of(string of, string name) => stage with { Wish = stage.Wish with { Stage = new StageId(of, name) } };
        var (told, stages) = what switch
        {
            "of another name" => (run with { Name = "other" }, [stage]),
            "of another team" => (run with { Pipeline = spec with { Team = "others" } }, [stage]),
            "that goes on" => (run with { Phase = new RunPhase.Paused() }, [stage]),
            "with a stage of another run" => (run, [Of("other", "pretrain")]),
            "with a stage that it has not" => (run, [stage, Of("mini", "nine")]),
            "with a stage twice" => (run, [stage, stage]),
            "with a stage that goes on" => (run, [Stage.New(stage.Wish)]),
            _ => (run, ImmutableArray.Create(stage)),
        };
        Assert.Equal(why, RunImports.OfStates(File, told, stages)?.Why["it is not what dsops exports: ".Length..]);
    }
}
