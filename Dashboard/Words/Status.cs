using MudBlazor;

namespace DeepSeekOps.Dashboard.Words;

/// <summary>How a state looks: never by colour alone, so each has an icon of its own beside its word.</summary>
public sealed record Status(string Word, string Tone, string Icon)
{
    /// <summary>States of runs, stages, ranks, nodes and checkpoints. A state this version does not know shows as it is.</summary>
    public static Status Of(string state) => state switch
    {
        "waiting" => new("waiting", "idle", Icons.Material.Outlined.MoreHoriz),
        "queued" => new("queued", "idle", Icons.Material.Outlined.HourglassEmpty),
        "starting" => new("starting", "moving", Icons.Material.Outlined.RocketLaunch),
        "checking" => new("checking new nodes", "moving", Icons.Material.Outlined.RocketLaunch),
        "running" => new("running", "moving", Icons.Material.Outlined.PlayCircle),
        "training" => new("training", "moving", Icons.Material.Outlined.PlayCircle),
        "saving" => new("saving", "moving", Icons.Material.Outlined.Save),
        "restarting" => new("restarting", "care", Icons.Material.Outlined.RestartAlt),
        "backing-off" => new("backing off", "care", Icons.Material.Outlined.Timelapse),
        "stopping" => new("stopping", "care", Icons.Material.Outlined.StopCircle),
        "pausing" => new("pausing", "held", Icons.Material.Outlined.PauseCircleOutline),
        "paused" => new("paused", "held", Icons.Material.Outlined.PauseCircle),
        "cancelling" => new("cancelling", "idle", Icons.Material.Outlined.Cancel),
        "cancelled" => new("cancelled", "idle", Icons.Material.Outlined.Cancel),
        "completed" => new("completed", "good", Icons.Material.Outlined.CheckCircle),
        "done" => new("done", "good", Icons.Material.Outlined.CheckCircle),
        "failed" => new("failed", "bad", Icons.Material.Outlined.Error),
        "exited" => new("exited", "bad", Icons.Material.Outlined.Error),
        "ready" => new("ready", "good", Icons.Material.Outlined.CheckCircle),
        "not-ready" => new("not ready", "bad", Icons.Material.Outlined.Error),
        "cordoned" => new("cordoned", "held", Icons.Material.Outlined.Block),
        "maintenance" => new("maintenance", "held", Icons.Material.Outlined.Build),
        "good" => new("good", "good", Icons.Material.Outlined.CheckCircle),
        "final" => new("final", "good", Icons.Material.Outlined.Flag),
        "pinned" => new("pinned", "moving", Icons.Material.Outlined.PushPin),
        "quarantined" => new("quarantined", "bad", Icons.Material.Outlined.GppBad),
        "deleted" => new("deleted", "idle", Icons.Material.Outlined.DeleteOutline),
        "suspected" => new("suspected", "care", Icons.Material.Outlined.HelpOutline),
        "diagnosed" => new("diagnosed", "care", Icons.Material.Outlined.Search),
        "acting" => new("acting", "care", Icons.Material.Outlined.RestartAlt),
        "verifying" => new("verifying", "moving", Icons.Material.Outlined.Rule),
        "closed" => new("closed", "good", Icons.Material.Outlined.CheckCircle),
        "needs-human" => new("needs a person", "bad", Icons.Material.Outlined.Error),
        _ => new(state.Length == 0 ? "unknown" : state, "idle", Icons.Material.Outlined.HelpOutline),
    };

    public static bool Ended(string state) => state is "completed" or "failed" or "cancelled";

    public static bool Moving(string state) => state is "starting" or "checking" or "running" or "restarting" or "stopping";
}
