using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Dashboard.Words;

public static class Stages
{
    /// <summary>The stage a person most likely wants to see: the one at work, else the one that stopped the run, else the
    /// last that did anything, else the first.</summary>
    public static Stage? InFocus(Run run) =>
        run.Stages.FirstOrDefault(s => Status.Moving(s.State) || s.State is "backing-off" or "queued")
        ?? run.Stages.FirstOrDefault(s => s.State is "failed" or "paused")
        ?? run.Stages.LastOrDefault(s => s.Step > 0)
        ?? run.Stages.FirstOrDefault();

    public static double Progress(Stage stage) =>
        stage.State == "completed" ? 1 : stage.TotalSteps > 0 ? Math.Clamp((double)stage.Step / stage.TotalSteps, 0, 1) : 0;

    /// <summary>Of the whole run, each stage weighed by its steps.</summary>
    public static double Progress(Run run)
    {
        var total = run.Stages.Sum(s => (double)s.TotalSteps);
        return run.State == "completed" ? 1 : total > 0 ? run.Stages.Sum(s => Progress(s) * s.TotalSteps) / total : 0;
    }

    public static string Kind(string kind) => kind switch
    {
        "pretraining" => "Pretraining",
        "context-extension" => "Context extension",
        "sft" => "Supervised fine-tuning",
        "rl" => "Reinforcement learning",
        "distillation" => "Distillation",
        _ => kind,
    };
}
