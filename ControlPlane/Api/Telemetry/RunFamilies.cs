using System.Collections.Immutable;
using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>A name, and what a look comes to under it.</summary>
internal sealed record Metric(Family Family, Func<Seen, IEnumerable<Point>> Points);

/// <summary>
/// Runs and stages. What has ended is a number and no series; labels are names and words of ours, so that there are as many series as
/// there are runs that go on, times a few dozen. Ranks are no labels: a gang has thousands.
/// </summary>
internal static partial class RunFamilies
{
    private static readonly ImmutableArray<string> RunStates =
        ["queued", "running", "pausing", "paused", "cancelling", "completed", "failed", "cancelled"];

    public static readonly ImmutableArray<Metric> All =
    [
        Gauge("dsops_runs", "Runs by state, whenever they were submitted.", ["state"], seen => seen.RunStates is not { } known ? []
            : RunStates.Union(known.Keys).Select(state => new Point(known.GetValueOrDefault(state), state))),
        Gauge("dsops_run_waits_for_person", "1 for a run that goes no further until a person answers: why is question (a gate, a loss that "
            + "rose) or incident (automation gave up).", ["run", "why"],
            seen => seen.Runs.Where(r => r.WaitsFor.Length > 0).Select(r => new Point(1, r.Name, r.WaitsFor))),
        Gauge("dsops_run_held", "1 for a run whose automation a person holds.", ["run"],
            seen => seen.Runs.Where(r => r.Held).Select(r => new Point(1, r.Name))),
        Gauge("dsops_run_gpu_seconds", "What each second of each GPU of a run went into, since it was submitted; time that is made again "
            + "moves from productive to lost_work.", ["run", "bucket"],
            seen => seen.Runs.SelectMany(r => r.GpuSeconds.Select(b => new Point(b.Value, r.Name, Snake(b.Key))))),
        Gauge("dsops_stages", "Stages of runs that have not ended, by kind and state.", ["kind", "state"],
            seen => seen.Runs.SelectMany(r => r.Stages).GroupBy(s => (s.View.Kind, s.View.State)).OrderBy(g => g.Key)
                .Select(g => new Point(g.Count(), g.Key.Kind, g.Key.State))),
        OfStage("dsops_stage_state", "1 for the state that a stage is in.", seen => Live(seen).Select(
            s => new Point(1, s.Run, s.Name, s.Kind, s.View.State)), "state"),
        Number("dsops_stage_step", "Optimizer steps that the stage has made.", s => s.View.Step),
        Number("dsops_stage_steps_planned", "Optimizer steps that the stage is to make.", s => s.View.TotalSteps),
        Number("dsops_stage_tokens", "Tokens that the stage has trained on.", s => s.View.Tokens),
        Number("dsops_stage_attempt", "Number of the stage's newest launch.", s => s.View.Attempt),
        Number("dsops_stage_gpus", "GPUs of the stage's gang; 0: it has none.", s => s.More.Gpus),
        OfStage("dsops_stage_restarts_total", "Launches of the stage beside the first, by cause.", seen => Live(seen).SelectMany(
            s => s.View.RestartsByCause.OrderBy(c => c.Key, StringComparer.Ordinal).Select(
                c => new Point(c.Value, s.Run, s.Name, s.Kind, GrainMeter.Label(c.Key)))), "cause", type: "counter"),
        Number("dsops_stage_loss", "Loss of the newest step, while it trains.", s => Trains(s) ? s.View.Loss : null),
        Number("dsops_stage_grad_norm", "Gradient norm of the newest step, while it trains.", s => Trains(s) ? s.View.GradNorm : null),
        Number("dsops_stage_learning_rate", "Learning rate of the newest step, while it trains.",
            s => Trains(s) ? s.View.LearningRate : null),
        Number("dsops_stage_tokens_per_second", "Of the whole gang, at the newest step, while it trains.",
            s => Trains(s) ? s.View.TokensPerSecond : null),
        Number("dsops_stage_mfu_ratio", "Model FLOPs utilisation, 0 to 1, at the newest step, while it trains.",
            s => Trains(s) ? s.View.Mfu : null),
        Number("dsops_stage_steps_per_second", "Mean of the stage's recent steps, 64 at most, while it trains.",
            s => Trains(s) && s.More.StepSeconds is > 0 and var seconds ? 1 / seconds : null),
        Number("dsops_stage_remaining_seconds", "Forecast of what is left of the stage, while it has a gang.",
            s => s.View.Remaining?.TotalSeconds),
        Number("dsops_stage_last_step_age_seconds", "Since the stage's newest step, or since it began, while it has a gang.",
            s => HasGang(s) ? Age(s, s.More.SteppedAt ?? s.View.StartedAt) : null),
        Number("dsops_stage_checkpoint_step", "Step of the stage's newest durable checkpoint that can be gone on from.",
            s => s.View.CheckpointStep),
        Number("dsops_stage_checkpoint_age_seconds", "Since the stage's newest durable checkpoint, or since it began, while it has a gang.",
            s => HasGang(s) ? Age(s, s.More.CheckpointAt ?? s.View.StartedAt) : null),
        Number("dsops_stage_heartbeat_age_max_seconds", "Since the last word of the agent of its gang that is silent for longest.",
            s => HasGang(s) ? s.More.SilentFor?.TotalSeconds : null),
    ];

    /// <summary>"lostWork", as JSON has it, is "lost_work".</summary>
    internal static string Snake(string camel) => Capital().Replace(camel, m => $"_{m.Value.ToLowerInvariant()}");

    private static IEnumerable<LiveStage> Live(Seen seen) => seen.Runs.SelectMany(run => run.Stages
        .Where(s => s is { More: not null, View.State: not ("completed" or "failed" or "cancelled" or "waiting") })
        .Select(s => new LiveStage(seen, run.Name, s.View, s.More!)));

    private static bool Trains(LiveStage stage) => stage.View.State == "running";

    private static bool HasGang(LiveStage stage) => stage.View.State is "running" or "starting" or "checking" or "restarting";

    private static double? Age(LiveStage stage, DateTimeOffset? at) =>
        at is { } then ? Math.Max(0, (stage.Seen.At - then).TotalSeconds) : null;

    private static Metric Gauge(string name, string help, ImmutableArray<string> labels, Func<Seen, IEnumerable<Point>> points) =>
        new(new Family(name, "gauge", help, labels), points);

    private static Metric OfStage(
        string name, string help, Func<Seen, IEnumerable<Point>> points, string label = "", string type = "gauge") =>
        new(new Family(name, type, help, label.Length > 0 ? ["run", "stage", "kind", label] : ["run", "stage", "kind"]), points);

    private static Metric Number(string name, string help, Func<LiveStage, double?> value) => OfStage(name, help, seen =>
        Live(seen).Select(s => (Stage: s, Value: value(s))).Where(s => s.Value is not null)
            .Select(s => new Point(s.Value!.Value, s.Stage.Run, s.Stage.Name, s.Stage.Kind)));

    [GeneratedRegex("[A-Z]")]
    private static partial Regex Capital();

    /// <summary>A stage whose turn has come and is not over.</summary>
    private sealed record LiveStage(Seen Seen, string Run, StageView View, StageMeasures More)
    {
        public string Name => View.Name;

        public string Kind => View.Kind;
    }
}
