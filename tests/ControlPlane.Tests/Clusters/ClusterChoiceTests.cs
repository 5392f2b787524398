using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

/// <summary>A cluster is one folder: its choice, its options, its registration. What is elsewhere is its word.</summary>
public sealed class ClusterChoiceTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-choice-").FullName;

    public static TheoryData<Type> Choices =>
        [.. typeof(ClusterChoice).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(ClusterChoice))).OrderBy(t => t.Name)];

    [Theory]
    [MemberData(nameof(Choices))]
    public async Task Each_choice_registers_the_cluster_of_its_own_folder(Type choice)
    {
        await using var services = Registered((ClusterChoice)Activator.CreateInstance(choice)!);
        var cluster = services.GetRequiredService<ITrainingCluster>();
        Assert.Equal(choice.Namespace, cluster.GetType().Namespace);
        Assert.Contains(cluster.Kind, HostVerbs.Clusters);
        Assert.Equal(cluster.Simulated, cluster.Faults is not null);
        Assert.True(await cluster.Stop("the test is over", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_cluster_that_is_made_for_us_has_the_nodes_that_were_asked_for()
    {
        foreach (var choice in new ClusterChoice[] { new LocalChoice { Nodes = 3 }, new SimulatedChoice { Nodes = 3 } })
        {
            await using var services = Registered(choice);
            var seen = await services.GetRequiredService<ITrainingCluster>().Observe(TestContext.Current.CancellationToken);
            Assert.Equal((3, 3), (choice.NodesChosen, seen.Nodes.Length));
        }
    }

    [Fact]
    public void Every_word_of_a_cluster_has_a_choice() => Assert.Equal(HostVerbs.Clusters.Length, Choices.Count);

    [Fact]
    public async Task Nodes_of_a_local_cluster_have_room_for_the_ranks_that_were_asked_for()
    {
        await using var services = Registered(new LocalChoice { Nodes = 1, RanksPerNode = 4 });
        var seen = await services.GetRequiredService<ITrainingCluster>().Observe(TestContext.Current.CancellationToken);
        Assert.Equal(4, Assert.Single(seen.Nodes).Slots);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private ServiceProvider Registered(ClusterChoice choice)
    {
        var services = new ServiceCollection();
        services.AddOptions();
        services.AddLogging();
        services.AddSingleton(TimeProvider.System);
        choice.AddTo(services, new ClusterHouse(folder, "h800-256", (_, _) => "", ""));
        return services.BuildServiceProvider();
    }
}
