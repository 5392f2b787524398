using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>Where simulated agents report: the same two words, to the same listener, as agents on machines. The host binds it.</summary>
public sealed record AgentCalls
{
    public required Func<AgentRegistration, Task<WorkerReply>> Register { get; init; }

    public required Func<AgentBeat, Task<WorkerReply>> Heartbeat { get; init; }
}
