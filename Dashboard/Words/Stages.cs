using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Dashboard.Words;

public static class Stages
{
    /// <summary>The stage a person most likely wants to see: the one at work, else the one that stopped the run, else the
    /// last that did anything, else the first.</summary>
    public static Stage? InFocus(Run run) => InFocus(run.Stages);

    public static T? InFocus<T>(IReadOnlyList<T> stages)
        where T : class, IStageFacts =>
        stages.FirstOrDefault(s => Status.Moving(s.State) || s.State is "backing-off" or "queued")
        ?? stages.FirstOrDefault(s => s.State is "failed" or "paused")
        ?? stages.LastOrDefault(s => s.Step > 0)
        ?? (stages.Count > 0 ? stages[0] : null);

    public static double Progress(IStageFacts stage) =>
        stage.State == "completed" ? 1 : stage.TotalSteps > 0 ? Math.Clamp((double)stage.Step / stage.TotalSteps, 0, 1) : 0;

    public static double Progress(Run run) => Progress(run.State, run.Stages);

    /// <summary>Of the whole run, each stage weighed by its steps.</summary>
    public static double Progress(string state, IReadOnlyCollection<IStageFacts> stages)
    {
        var total = stages.Sum(s => (double)s.TotalSteps);
        return state == "completed" ? 1 : total > 0 ? stages.Sum(s => Progress(s) * s.TotalSteps) / total : 0;
    }

    /// <summary>A run runs also while its stage is started again; who looks wants to see that.</summary>
    public static string Shown(Run run) =>
        run.State == "running" && InFocus(run) is { State: "restarting" or "backing-off" or "starting" or "checking" or "stopping" } stage
            ? stage.State : run.State;
}
