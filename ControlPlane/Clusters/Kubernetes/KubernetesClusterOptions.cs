using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;
using k8s;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>The cluster of `dsops serve`: nodes and pods behind an API server.</summary>
public sealed class KubernetesClusterOptions
{
    /// <summary>How pods are made and nodes are read. Default: as <see cref="PodSettings"/> has it.</summary>
    public PodSettings Pods { get; set; } = new();

    /// <summary>Evidence of pods that ended is kept in pods/ of it. Default: .dsops</summary>
    public string DataDirectory { get; set; } = ".dsops";

    /// <summary>What the agent of a gang's node shows when it reports. Default: nothing.</summary>
    public Func<GangId, NodeId, string> TokenOf { get; set; } = (_, _) => "";

    /// <summary>By which agents know the control plane's port. Default: none; they ask the authorities of their image.</summary>
    public string Pin { get; set; } = "";

    /// <summary>Address and credentials of the API server. Default: that of the pod we run in, or of the usual kubeconfig.</summary>
    public Func<KubernetesClientConfiguration> Connection { get; set; } = KubernetesClientConfiguration.BuildDefaultConfig;

    /// <summary>Pods that are made or ended at a time. Default: 32; more gained nothing with 256 pods on a real API server.</summary>
    public int Parallel { get; set; } = 32;

    /// <summary>How long a pod that is fenced may take to end by itself before SIGKILL. Default: 2 seconds, as local pods.</summary>
    public TimeSpan FencePatience { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long a pod that tries a checkpoint may take to start. Default: 2 minutes, in which an image of some GB comes to a node.
    /// </summary>
    public TimeSpan TryStartsWithin { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>How long the API server may be silent until what it said last counts for nothing. Default: 10 seconds.</summary>
    public TimeSpan StaleAfter { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Evidence files stay for so long. Default: 7 days, as folders of local pods.</summary>
    public TimeSpan EvidenceFor { get; set; } = TimeSpan.FromDays(7);
}
