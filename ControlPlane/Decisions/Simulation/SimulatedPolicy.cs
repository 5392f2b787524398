using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>A way to run a pipeline that is simulated beside others.</summary>
/// <param name="Source">Where its figures come from, and what is assumed in its favour.</param>
public sealed record SimulatedPolicy(string Name, string Source, Func<SimulatedPipeline, SimulatedPipeline> Apply)
{
    /// <summary>What others are compared with.</summary>
    public const string AsPlanned = "as planned";

    private const string Generous = "no limit of restarts; spares, checkpoints and finding a bad GPU as ours";

    /// <summary>NCCL's watchdog in PyTorch: it ends a rank that hangs when the launcher notices nothing.</summary>
    private static readonly TimeSpan NcclWatchdog = TimeSpan.FromMinutes(10);

    private static Deciders NewGangs { get; } = Deciders.Real with { Stage = WithNewGang };

    /// <summary>
    /// Timing models, not the programs: what each adds to notice a fault and to start again, played by the same cluster. Delays before a
    /// launch are counted as restart.
    /// </summary>
    public static ImmutableArray<SimulatedPolicy> All { get; } =
    [
        new(AsPlanned, "the pipeline file and the control plane's own planners", p => p),
        new("checkpoint at the best interval", "Young's formula by dsops plan, or each step where that is longer", BestInterval),
        new("checkpoint every 30 minutes", "", p => Every(p, TimeSpan.FromMinutes(30))),
        new("checkpoint every 2 hours", "", p => Every(p, TimeSpan.FromHours(2))),
        new("no spares", "", p => p with { Spares = 0 }),
        new("no spares, a lost node is waited for", "no layout of fewer nodes", p => Waiting(p with { Spares = 0 })),
        new("no spares, whole replicas alone", "as our worker can shrink: experts are dealt in equal shares",
            p => p with { Spares = 0, Timing = p.Timing with { DealsUnevenly = false } }),
        new("twice the spares", "", p => p with { Spares = p.Spares * 2 }),
        new("no states in memory", "a restart in place goes back to the newest checkpoint",
            p => WithStages(p, s => s with { InMemory = false })),
        new("always a new gang", "no restart in place", p => p with { Deciders = NewGangs }),
        new("torchrun at its best", $"15 s keep-alive, 14 s restart measured with 4 ranks (torchrun 1.13.1); {Generous}",
            p => Launcher(p, nodeNoticed: 15, beforeLoad: 14, beforePods: 0)),
        new("torchrun, large rendezvous", "the same with 10 min of rendezvous, the low end of what PyTorch's source says "
            + $"of large jobs; {Generous}",
            p => Launcher(p, nodeNoticed: 15, beforeLoad: 600, beforePods: 0)),
        new("JobSet recreate", $"65 s from exit to action (JobSet issue 928), 300 s eviction after 50 s not ready (Kubernetes); {Generous}",
            p => Launcher(p, nodeNoticed: 350, beforeLoad: 0, beforePods: 65) with { Deciders = NewGangs }),
        new("Slurm defaults", "495 s until a node is down, 130 s from there to the restart (Slurm 22.05.8, measured with 64 "
            + $"and 256 slurmd); {Generous}",
            p => Launcher(p, nodeNoticed: 495, beforeLoad: 0, beforePods: 130) with { Deciders = NewGangs }),
    ];

    private static SimulatedPipeline Every(SimulatedPipeline pipeline, TimeSpan interval) => WithStages(
        pipeline, stage => stage with { CheckpointEvery = (int)Math.Max(1, Math.Round(interval.TotalSeconds / stage.StepSeconds)) });

    private static SimulatedPipeline WithStages(SimulatedPipeline pipeline, Func<StageTiming, StageTiming> change) =>
        pipeline with { Stages = pipeline.Stages.ToImmutableDictionary(s => s.Key, s => change(s.Value)) };

    private static SimulatedPipeline Waiting(SimulatedPipeline pipeline) => pipeline with
    {
        Pipeline = pipeline.Pipeline with { Recovery = pipeline.Pipeline.Recovery with { Shrink = false } },
    };

    private static SimulatedPipeline BestInterval(SimulatedPipeline pipeline) =>
        pipeline.Faults.PerThousandNodeDays <= 0 ? pipeline : pipeline with
        {
            Stages = pipeline.Stages.ToImmutableDictionary(s => s.Key, s =>
            {
                var between =
                    TimeSpan.FromDays(
                        1000 / (pipeline.Faults.PerThousandNodeDays * pipeline.Pipeline.ResourcesOf(pipeline.Pipeline.Stage(s.Key.Stage))
                            .Nodes));
                var best =
                    FailureForecast.BestIntervalOf(between, TimeSpan.FromSeconds(s.Value.StallSeconds),
                        TimeSpan.FromSeconds(s.Value.DurableSeconds));
                return s.Value with { CheckpointEvery = (int)Math.Max(1, Math.Round(best.TotalSeconds / s.Value.StepSeconds)) };
            }),
        };

    /// <summary>Seconds: until a lost node is noticed, and before ranks load or pods are made.</summary>
    private static SimulatedPipeline Launcher(SimulatedPipeline pipeline, double nodeNoticed, double beforeLoad, double beforePods)
    {
        var timing = pipeline.Timing;
        var noticed = TimeSpan.FromSeconds(nodeNoticed);
        return WithStages(pipeline, stage => stage with { InPlace = null, InMemory = false }) with
        {
            Pipeline = pipeline.Pipeline with
            {
                Recovery = pipeline.Pipeline.Recovery with
                {
                    NodeNotReadyFor = TimeSpan.Zero,
                    HangFloor = NcclWatchdog,
                    HangLimitBeforeFirstStep = NcclWatchdog,
                    SilentFor = noticed > NcclWatchdog ? noticed : NcclWatchdog,
                    MaxRestarts = int.MaxValue,
                    MaxSameFault = int.MaxValue,
                    Shrink = false,
                },
            },
            Timing = timing with
            {
                NotReadyAfter = nodeNoticed,
                Load = (timing.Load.From + beforeLoad, timing.Load.To + beforeLoad),
                PodStart = (timing.PodStart.From + beforePods, timing.PodStart.To + beforePods),
            },
        };
    }

    /// <summary>The real decision, but a restart in place becomes the end of the gang and a new one.</summary>
    private static Decision WithNewGang(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        if (decision.Next.Phase is not Phase.Restarting restarting || decision.Next.Attempt == stage.Attempt)
        {
            return decision;
        }

        var same = decision.Next with { Attempt = stage.Attempt, LaunchedFrom = stage.LaunchedFrom };
        return same.Stop(restarting.Gang, new Ending.Relaunch(decision.Reason, now), decision.Reason, now);
    }
}
