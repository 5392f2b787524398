using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>The cluster of `dsops dev`: nodes are folders on this machine, pods are agent processes.</summary>
public sealed class LocalClusterOptions
{
    /// <summary>Holds control-plane.json and nodes/. Default: .dsops</summary>
    public string DataDirectory { get; set; } = ".dsops";

    /// <summary>How many nodes to show. Default: 2, so that a stage has somewhere to go when an agent dies.</summary>
    public int Nodes { get; set; } = 2;

    /// <summary>What the agent of a gang's node shows when it reports. Default: nothing.</summary>
    public Func<GangId, NodeId, string> TokenOf { get; set; } = (_, _) => "";

    /// <summary>Ranks that fit on a node. Default: 1</summary>
    public int SlotsPerNode { get; set; } = 1;

    /// <summary>How long folders of ended pods stay, with the logs of their ranks. Default: 7 days.</summary>
    public TimeSpan PodFoldersFor { get; set; } = TimeSpan.FromDays(7);

    /// <summary>How long a pod that is fenced may take to end by itself before SIGKILL. Default: 2 seconds.</summary>
    public TimeSpan FencePatience { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long agents may save when the whole cluster is stopped. Default: 25 seconds.</summary>
    public TimeSpan StopPatience { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>Whoever asks may break what runs here on purpose. Default: nobody may.</summary>
    public bool Drills { get; set; }

    /// <summary>Further arguments for each agent, as `dsops-worker agent` takes them. Default: none.</summary>
    public IReadOnlyList<string> AgentArguments { get; set; } = [];
}
