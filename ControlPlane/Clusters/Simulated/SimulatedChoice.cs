using System.Globalization;
using DeepSeekOps.Decisions.Simulation;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>`--cluster simulated`: nodes that are none.</summary>
public sealed record SimulatedChoice : ClusterChoice
{
    public const int UsualNodes = 256;

    public int Nodes { get; init; } = UsualNodes;

    /// <summary>Simulated seconds in one second. Default: 1.</summary>
    public double TimeFactor { get; init; } = 1;

    /// <summary>Published mix that faults are drawn from. Default: llama3.</summary>
    public FaultMix Faults { get; init; } = FaultMix.Llama3;

    /// <summary>Everything random grows from it. Default: 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Faults may be injected on purpose. Default: not.</summary>
    public bool Drills { get; init; }

    public override int? NodesChosen => Nodes;

    public override string Greeting => string.Create(CultureInfo.InvariantCulture,
        $"simulated: {Nodes} nodes, faults {Faults.Name}, seed {Seed}, time x {TimeFactor:0.##}; no figure of it is measured")
        + (Drills ? $"; {DrillsGreeting}" : "");

    public override void AddTo(IServiceCollection services, ClusterHouse house)
    {
        services.Configure<SimulatedClusterOptions>(simulated =>
        {
            (simulated.Nodes, simulated.TimeFactor) = (Nodes, TimeFactor);
            simulated.Drills = Drills;
            (simulated.Faults, simulated.Seed, simulated.Fabric) = (Faults, Seed, house.Fabric);
        });
        services.AddSingleton<SimulatedCluster>();
        services.AddSingleton<ITrainingCluster>(provider => provider.GetRequiredService<SimulatedCluster>());
        services.AddHostedService<SimulatedAgents>();
    }
}
