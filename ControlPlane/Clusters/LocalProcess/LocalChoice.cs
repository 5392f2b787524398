using DeepSeekOps.Decisions.Doctor;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>`--cluster local`: processes of this machine.</summary>
public sealed record LocalChoice : ClusterChoice
{
    public const int UsualNodes = 2;

    private const string InEnvironment = "in the environment, or in the file that it names";

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

    internal override async Task<ClusterExamined> Examine(ClusterAsked asked, CancellationToken cancellation)
    {
        string program;
        try
        {
            program = WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.Variable));
        }
        catch (FileNotFoundException e)
        {
            var missing = WorkerCheck.Of(
                new WorkerFacts { Missing = e.Message.Split(" Build it ")[0] }, asked.Version, asked.Protocol, RanksPerNode);
            return new ClusterExamined(missing)
            {
                CopiesCheckpoints = true, StoreKeysIn = InEnvironment, StoreNotTried = "the worker program is missing",
            };
        }

        var store = WithoutStoreKeys(Environment.GetEnvironmentVariable) is null ? asked.Store : null;
        var (worker, tried) = await WorkerLook.Run(program, store, asked.Clock, cancellation);
        return new ClusterExamined(WorkerCheck.Of(worker, asked.Version, asked.Protocol, RanksPerNode))
        {
            CopiesCheckpoints = true, StoreKeysIn = InEnvironment, Gpus = worker.Gpus?.Length ?? 0, Store = tried,
            StoreNotTried = store is null ? "there are no keys" : "the worker program did not answer",
        };
    }

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
