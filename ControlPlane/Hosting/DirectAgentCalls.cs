using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Grains;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>Simulated agents' way to the stages: past gRPC, to the same calls.</summary>
internal static class DirectAgentCalls
{
    public static AgentCalls Of(IGrainFactory grains) => new()
    {
        Register = first => grains.GetGrain<IStageGrain>(first.Stage.ToString()).Register(first),
        Heartbeat = beat => grains.GetGrain<IStageGrain>(beat.Stage.ToString()).Heartbeat(beat),
    };
}
