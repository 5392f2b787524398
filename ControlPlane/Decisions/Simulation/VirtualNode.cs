using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>A machine as it is, which is more than the control plane can see of it.</summary>
internal sealed class VirtualNode(NodeSeen seen)
{
    public NodeSeen Seen { get; } = seen;

    public NodeId Id => Seen.Id;

    public bool Up { get; set; } = true;

    /// <summary>The cluster has noticed that it is down.</summary>
    public bool KnownDown { get; set; }

    /// <summary>Whatever is launched on it exits.</summary>
    public bool GpuBad { get; set; }

    public string Fault { get; set; } = "";

    public NodeSeen AsSeen() => KnownDown ? Seen with { Health = NodeHealth.NotReady, Reason = Fault } : Seen;
}

internal enum RanksDo
{
    Nothing = 0,
    Load = 1,
    /// <summary>They train as far as their job does.</summary>
    Train = 2,
    Exited = 3,
}

/// <summary>A pod with the agent in it and its ranks, which do the same and so are told as one.</summary>
internal sealed class VirtualPod(GangId gang, NodeId node, int index, string agentId)
{
    public StageId Stage => Gang.Stage;

    public GangId Gang { get; } = gang;

    public NodeId Node { get; } = node;

    public string AgentId { get; } = agentId;

    /// <summary>Of its node in the gang's rank order.</summary>
    public int Index { get; } = index;

    public PodPhase Phase { get; set; } = PodPhase.Pending;

    /// <summary>The agent's process runs. Unlike the phase, this is the truth.</summary>
    public bool Alive { get; set; }

    public bool Ending { get; set; }

    /// <summary>The attempt its ranks were launched for; 0: none yet.</summary>
    public int Launched { get; set; }

    public RanksDo Ranks { get; set; }

    public bool Hung { get; set; }

    public int ExitCode { get; set; }

    public string Error { get; set; } = "";

    /// <summary>The number that ended its ranks; cleared by the next launch.</summary>
    public NotFinite? Broke { get; set; }

    public DateTimeOffset LaunchedAt { get; set; }

    public long Sequence { get; set; }

    /// <summary>The step that its last beat told a sample of, with the attempt.</summary>
    public (int Attempt, long Step) Sampled { get; set; }

    /// <summary>What the control plane has not acknowledged, with the beat that told it first; 0: none has.</summary>
    public List<(long Sequence, CheckpointMade? Made, RefusedCheckpoint? Refused)> Untold { get; } = [];

    public ImmutableArray<CheckpointMade> Made => [.. Untold.Where(u => u.Made is not null).Select(u => u.Made!)];

    public ImmutableArray<RefusedCheckpoint> Refused => [.. Untold.Where(u => u.Refused is not null).Select(u => u.Refused!)];
}
