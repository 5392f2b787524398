using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>What the states of runs, stages, checkpoints, nodes and events mean for the eye and for a script.</summary>
public static class States
{
    public static Style StyleOf(string state) => state switch
    {
        "failed" or "error" or "exited" or "not-ready" or "quarantined" => new Style(Color.Red),
        "warning" or "restarting" or "backing-off" or "stopping" or "pausing" or "cancelling" or "unknown" => new Style(Color.Yellow),
        "running" or "training" or "saving" or "starting" or "checking" => new Style(Color.Green),
        "waiting" or "cancelled" or "deleted" => new Style(decoration: Decoration.Dim),
        _ => Style.Plain,
    };

    /// <summary>The run will not change any more unless a person wants it to.</summary>
    public static bool IsEnded(string runState) => runState is "completed" or "failed" or "cancelled";
}
