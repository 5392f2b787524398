namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>`--cluster local`: processes of this machine.</summary>
public sealed record LocalChoice : ClusterChoice
{
    public const int UsualNodes = 2;

    /// <summary>Default: 2, so that a stage has somewhere to go when an agent dies.</summary>
    public int Nodes { get; init; } = UsualNodes;

    /// <summary>Ranks that fit on a node. Default: 1.</summary>
    public int RanksPerNode { get; init; } = 1;

    /// <summary>Folders of ended pods, with the logs of their ranks, are kept this many days. Default: 7.</summary>
    public int KeepPodsDays { get; init; } = 7;

    /// <summary>Faults may be injected on purpose. Default: not.</summary>
    public bool Drills { get; init; }

    public override string Greeting => Drills ? DrillsGreeting : "";

    public override int? NodesChosen => Nodes;

    /// <summary>Workers are its children, and have its environment.</summary>
    internal override (string What, string Fix)? WithoutStoreKeys(Func<string, string?> environment) => StoreKeys.Lack(environment);

    public override void AddTo(IServiceCollection services, ClusterHouse house)
    {
        services.Configure<LocalClusterOptions>(local =>
        {
            (local.DataDirectory, local.TokenOf) = (house.DataDirectory, house.TokenOf);
            (local.Nodes, local.SlotsPerNode) = (Nodes, RanksPerNode);
            local.Drills = Drills;
            local.PodFoldersFor = TimeSpan.FromDays(KeepPodsDays);
        });
        services.AddSingleton<LocalProcessCluster>();
        services.AddSingleton<ITrainingCluster>(provider => provider.GetRequiredService<LocalProcessCluster>());
    }
}
