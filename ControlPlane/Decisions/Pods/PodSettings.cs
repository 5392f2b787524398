using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Pods;

/// <summary>How pods of gangs are made on a Kubernetes cluster, and how its nodes are read. What operators write.</summary>
public sealed record PodSettings
{
    public string Namespace { get; init; } = "dsops";

    /// <summary>Marks what this control plane made; two of them in one namespace need two names.</summary>
    public string Instance { get; init; } = "dsops";

    public string Image { get; init; } = "";

    /// <summary>What is started in the image; the agent's arguments follow.</summary>
    public ImmutableArray<string> Command { get; init; } = ["dotnet", "/app/worker/dsops-worker.dll"];

    /// <summary>Where agents find the control plane, as pods see it.</summary>
    public string ControlUrl { get; init; } = "";

    /// <summary>Only nodes that carry all of these are ours to place on. Empty: all nodes that have GPUs.</summary>
    public ImmutableDictionary<string, string> NodeLabels { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Resource of which each rank takes one.</summary>
    public string GpuResource { get; init; } = "nvidia.com/gpu";

    /// <summary>Further resources that each pod takes, such as rdma/hca_shared_devices_a=1.</summary>
    public ImmutableDictionary<string, string> Resources { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Of /dev/shm, in bytes: NCCL and data loaders share memory there, and 64 MiB are usual without it.</summary>
    public long SharedMemoryBytes { get; init; } = 16L << 30;

    /// <summary>Taints that pods tolerate, by key; with a value only those of that value.</summary>
    public ImmutableArray<PodToleration> Tolerations { get; init; } = [new("nvidia.com/gpu", "")];

    public ImmutableArray<PodVolume> Volumes { get; init; } = [];

    /// <summary>Folder of checkpoints, the same for the control plane and for pods.</summary>
    public string Checkpoints { get; init; } = "/checkpoints";

    /// <summary>Secret with the keys of the checkpoint store, by name. Empty: pods get none.</summary>
    public string CheckpointSecret { get; init; } = "";

    public string ServiceAccount { get; init; } = "";

    /// <summary>User and group that pods run as, and the group that their volumes are given to where they can be. 0: root.</summary>
    public int User { get; init; } = 65_532;

    public string PriorityClass { get; init; } = "";

    /// <summary>How long ranks may save when their pod is ended; the pod's own grace is longer by <see cref="EndMargin"/>.</summary>
    public TimeSpan SaveWithin { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Between the last save and the end of all processes: ours; an agent ends within two seconds of its ranks.</summary>
    public static readonly TimeSpan EndMargin = TimeSpan.FromSeconds(10);

    /// <summary>Labels that say under which leaf of the network a node hangs, best first.</summary>
    public ImmutableArray<string> LeafLabels { get; init; } =
    [
        "deepseekops.io/leaf", "fabric.topograph.run/tier-1", "network.topology.nvidia.com/leaf", "cloud.provider.com/topology-rack",
    ];

    /// <summary>Labels that say in which zone a node is, best first.</summary>
    public ImmutableArray<string> ZoneLabels { get; init; } =
    [
        "deepseekops.io/zone", "fabric.topograph.run/tier-2", "network.topology.nvidia.com/spine", "cloud.provider.com/topology-block",
        "topology.kubernetes.io/zone",
    ];

    /// <summary>
    /// Conditions that, when true, take a node out: those that NVSentinel 1.0 sets for fatal faults, and node-problem-detector's.
    /// </summary>
    public ImmutableArray<string> FatalConditions { get; init; } =
    [
        "GpuMemWatch", "GpuThermalWatch", "GpuPcieWatch", "GpuPowerWatch", "GpuInforomWatch", "GpuSmWatch", "GpuNvlinkWatch",
        "GpuMcuWatch", "GpuPmuWatch", "GpuDriverWatch", "GpuCpusetWatch", "SysLogsXIDError", "SysLogsSXIDError",
        "SysLogsGPUFallenOff", "NVSwitchFatalError", "NVSwitchDown", "CSPMaintenance", "DCGMError",
        "KernelDeadlock", "ReadonlyFilesystem", "XidError",
    ];
}

/// <param name="Value">Empty: any value of it.</param>
public sealed record PodToleration(string Key, string Value);

/// <summary>A folder that each pod sees.</summary>
/// <param name="Path">In the pod.</param>
/// <param name="Claim">Of a persistent volume; or else <paramref name="HostPath"/> on its node.</param>
public sealed record PodVolume(string Path, string Claim, string HostPath, bool ReadOnly);
