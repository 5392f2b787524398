using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>The cluster, with what its ranks do.</summary>
internal sealed class WholeCluster
{
    private readonly IGrainFactory grains;
    private readonly ITrainingCluster cluster;
    private readonly SharedLook<Cluster> look;

    public WholeCluster(IGrainFactory grains, ITrainingCluster cluster, TimeProvider clock)
    {
        (this.grains, this.cluster) = (grains, cluster);
        look = new SharedLook<Cluster>(Describe, clock);
    }

    public IClusterGrain Grain => grains.GetGrain<IClusterGrain>(IClusterGrain.Key);

    public Task<Cluster> Described() => look.Now();

    /// <summary>For who watches it.</summary>
    public Task<Cluster> Lately() => look.Lately(CallStreams.LookEvery / 2);

    private async Task<Cluster> Describe()
    {
        var seen = await Grain.Describe();
        var stages = seen.Nodes.SelectMany(n => n.Gangs).Select(g => g.Stage).Distinct();
        var known = await Task.WhenAll(stages.Select(async stage =>
        {
            var grain = grains.GetGrain<IStageGrain>(stage.ToString());
            return (Report: await grain.Describe(), Ranks: await grain.Ranks());
        }));
        var proto = seen.ToProto(known.Where(one => one.Report is not null).Select(one => (one.Report!, one.Ranks)));
        proto.Simulation = cluster.InWords;
        return proto;
    }
}
