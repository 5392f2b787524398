using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>The cluster, with what its ranks do.</summary>
internal sealed class WholeCluster(IGrainFactory grains, ITrainingCluster cluster)
{
    public IClusterGrain Grain => grains.GetGrain<IClusterGrain>(IClusterGrain.Key);

    public async Task<Cluster> Described()
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
