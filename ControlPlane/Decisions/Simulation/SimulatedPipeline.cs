using System.Collections.Immutable;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>One pipeline on a cluster of its own, to be simulated.</summary>
/// <param name="Nodes">Of the cluster, without the spares.</param>
/// <param name="Stages">Their speed, from the plan.</param>
public sealed record SimulatedPipeline(
    PipelineSpec Pipeline, int Nodes, int Spares, int SlotsPerNode, FaultMix Faults, long Seed, TimeSpan Limit,
    ImmutableDictionary<StageId, StageTiming> Stages)
{
    public ClusterTiming Timing { get; init; } = ClusterTiming.Default;

    public Deciders Deciders { get; init; } = Deciders.Real;

    /// <summary>What strikes the machines instead of draws. Null: nothing does.</summary>
    public FaultTrace? Trace { get; init; }

    /// <summary>The pipeline ends long before it, whatever fails.</summary>
    public static TimeSpan NoLimit { get; } = TimeSpan.FromDays(3650);

    /// <summary>Null: the stage of that name has no GPU that the plan knows, so nothing says how long a step takes.</summary>
    public static (SimulatedPipeline? Of, string Lacks) For(
        PipelineSpec pipeline, int? nodes, int? spares, FaultMix faults, long seed, TimeSpan limit, FaultTrace? trace = null)
    {
        var plan = PipelineForecast.Of(pipeline);
        var stages = ImmutableDictionary.CreateBuilder<StageId, StageTiming>();
        foreach (var (stage, forecast) in pipeline.Stages.Zip(plan.Stages))
        {
            if (StageTiming.Of(pipeline, stage, forecast) is not { } timing)
            {
                return (null, stage.Name);
            }

            stages.Add(new StageId(pipeline.Name, stage.Name), timing);
        }

        int all = nodes ?? pipeline.Stages.Max(s => pipeline.ResourcesOf(s).Nodes);
        return (new SimulatedPipeline(pipeline, all, spares ?? SparesFor(all, faults, trace),
            Math.Max(8, pipeline.Stages.Max(s => pipeline.ResourcesOf(s).RanksPerNode)),
            faults, seed, limit, stages.ToImmutable())
        {
            Trace = trace,
        }, "");
    }

    public Scenario Scenario() => new(
        [new Arrival(TimeSpan.Zero, new RunSubmission(Pipeline.Name, Pipeline, ""))],
        [.. Fabric.H800(Nodes + Spares).Select(n => n with { Slots = SlotsPerNode })],
        Stages, Faults, Timing, Chaos.None, PlacementPolicy.Default, ParameterCount.Of(Pipeline.Model).Active, Limit,
        unchecked((int)Seed))
    {
        Script = Trace is null ? [] : [.. Struck(Trace, Fabric.H800(Nodes + Spares))],
    };

    private IEnumerable<ScriptedFault> Struck(FaultTrace trace, IReadOnlyList<NodeSeen> machines)
    {
        var places = trace.Places(machines.Count, unchecked((int)Seed));
        return trace.Faults.Select(f => new ScriptedFault(f.From, machines[places[f.Node]].Id, f.Cause) { Until = f.Until });
    }

    public SimulationReport Run()
    {
        var simulation = new Simulation(Scenario(), Deciders);
        simulation.Run();
        return SimulationReport.Of(simulation, this);
    }

    private static int SparesFor(int nodes, FaultMix faults, FaultTrace? trace) => trace is not null ? TracedSpares.For(trace, nodes)
        : faults.PerThousandNodeDays <= 0 ? 0 : FailureForecast.SparesFor(nodes, faults.PerThousandNodeDays);
}
