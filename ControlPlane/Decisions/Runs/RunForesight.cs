using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>What a command to a run would do, by what is known of the run now.</summary>
public static class RunForesight
{
    public static Foresight Pause(RunView run, PipelineSpec pipeline) => run.Ended ? Over(run, "pause") : At(run) is not { } stage
        ? new Foresight(["Nothing of it runs; it will not ask for nodes until it is resumed."])
        : new Foresight([
            $"{stage.Name} saves a checkpoint at step {Number(stage.Step)} and ends its ranks; a resume goes on from "
                + "there and loses no step.",
            Frees(pipeline, stage) + " A resume has to wait for nodes again where somebody has taken them."]);

    public static Foresight Cancel(RunView run, PipelineSpec pipeline) => run.Ended ? Over(run, "cancel") : At(run) is not { } stage
        ? new Foresight(["Nothing of it runs, so nothing is lost. Checkpoints stay."])
        : new Foresight([
            Lost(stage), Frees(pipeline, stage),
            (run.Stages.Count(s => s.State == "waiting") is > 0 and var waiting
                ? Words.Count(waiting, "stage that has not begun", "stages that have not begun") + " will not begin. " : "")
                + "Checkpoints stay: a retry or a clone can go on from them."]);

    /// <param name="name">Empty: the stage whose turn it is.</param>
    /// <param name="checkpointStep">Null: its newest good checkpoint.</param>
    public static Foresight Retry(RunView run, string name, long? checkpointStep)
    {
        var stage = name.Length > 0 ? run.Stages.FirstOrDefault(s => s.Name == name)
            : run.Stages.FirstOrDefault(s => s.State != "completed");
        if (stage is null)
        {
            return Foresight.No(
                name.Length > 0 ? $"{run.Name} has no stage '{name}'; it has {string.Join(", ", run.Stages.Select(s => s.Name))}."
                : $"All stages of {run.Name} are completed: name the one to begin again.");
        }

        long from = checkpointStep ?? stage.CheckpointStep ?? 0;
        var later = run.Stages.SkipWhile(s => s.Name != stage.Name).Skip(1).Where(s => s.Step > 0).ToImmutableArray();
        string begins = from == 0
            ? $"{stage.Name} begins again from step 0" : $"{stage.Name} goes on from its checkpoint of step {Number(from)}";
        string again = stage.Step > from
            ? $"; {Steps(stage.Step - from)} that it had made {(stage.Step - from == 1 ? "is" : "are")} set aside" : "";
        return new Foresight([
            $"{begins}{again}.",
            .. later.IsEmpty ? [] : ImmutableArray.Create(
                $"{string.Join(", ", later.Select(s => s.Name))} {(later.Length == 1 ? "comes" : "come")} later and "
                    + $"{(later.Length == 1 ? "is" : "are")} done again: "
                    + $"{Steps(later.Sum(s => s.Step))} set aside, their results and lines stay on the timeline."),
            stage.CheckpointStep is null && from == 0 && stage.Step > 0 ? "It has no good checkpoint to go on from."
                : "Files of checkpoints are not deleted by it."]);
    }

    private static StageView? At(RunView run) =>
        run.Stages.FirstOrDefault(s => s.State is "starting" or "checking" or "running"
            or "restarting" or "backing-off" or "stopping" or "pausing");

    private static string Lost(StageView stage)
    {
        long saved = stage.CheckpointStep ?? 0;
        long lost = Math.Max(0, stage.Step - saved);
        return lost == 0 ? $"{stage.Name} ends now; its newest checkpoint has all of its {Steps(stage.Step)}."
            : $"{stage.Name} ends now without saving: {Steps(lost)} since "
                + $"{(saved > 0 ? $"the checkpoint of step {Number(saved)}" : "its beginning")} "
                + $"{(lost == 1 ? "is" : "are")} lost{Worth(stage, lost)}.";
    }

    /// <summary>At the pace it has had so far.</summary>
    private static string Worth(StageView stage, long steps) => stage is { TokensPerSecond: > 0 and var pace, Tokens: > 0, Step: > 0 }
        ? $", about {Words.Duration(TimeSpan.FromSeconds(steps * ((double)stage.Tokens / stage.Step) / pace))} of work" : "";

    private static string Frees(PipelineSpec pipeline, StageView stage) =>
        pipeline.Stages.FirstOrDefault(s => s.Name == stage.Name) is { } spec
        && pipeline.ResourcesOf(spec) is var resources && resources.Nodes * resources.RanksPerNode is var gpus
            ? $"{Words.Count(gpus, "GPU", "GPUs")} on {Words.Count(resources.Nodes, "node", "nodes")} {(gpus == 1 ? "becomes" : "become")} "
                + "free for whoever waits." : "";

    private static string Steps(long steps) => steps == 1 ? "1 step" : $"{Number(steps)} steps";

    private static string Number(long value) => value.ToString("#,0", CultureInfo.InvariantCulture);

    private static Foresight Over(RunView run, string verb) =>
        Foresight.No($"{run.Name} has ended ({run.State}): there is nothing to {verb}.");
}
