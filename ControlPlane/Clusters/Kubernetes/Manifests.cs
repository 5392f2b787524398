using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Pods;
using k8s.Models;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>From what was decided to the API's objects.</summary>
internal static class Manifests
{
    private const string SharedMemory = "shared-memory", PodFolder = "pod", Temporary = "temporary", TemporaryFolder = "/tmp";

    /// <summary>It has nothing to save.</summary>
    private static readonly TimeSpan TryGrace = TimeSpan.FromSeconds(2);

    /// <summary>Ours: it ends minutes after its last text; a bound for one that nothing else ends.</summary>
    private static readonly TimeSpan TryWithin = TimeSpan.FromDays(1);

    public static string Selector(PodSettings settings) =>
        $"{GangNames.ManagedBy}={GangNames.Us},{GangNames.Instance}={settings.Instance}";

    public static string Selector(PodSettings settings, string gang) => $"{Selector(settings)},{GangNames.Gang}={gang}";

    /// <summary>What owns all else of a gang: with it, the cluster takes away what we could not.</summary>
    public static V1ConfigMap Owner(GangObjects gang, PodSettings settings) => new()
    {
        Metadata = Meta(gang, gang.Name, settings),
        Data = new Dictionary<string, string> { ["nodes"] = string.Join('\n', gang.Pods.Select(p => p.Node.Name)) },
    };

    public static V1Secret Secret(GangObjects gang, V1OwnerReference owner, PodSettings settings) => new()
    {
        Metadata = Owned(Meta(gang, gang.Name, settings), owner),
        Type = "Opaque",
        StringData = gang.Tokens.ToDictionary(),
    };

    public static V1OwnerReference Reference(V1ConfigMap owner) =>
        new() { ApiVersion = "v1", Kind = "ConfigMap", Name = owner.Metadata.Name, Uid = owner.Metadata.Uid };

    public static V1Pod Pod(GangObjects gang, PodPlan pod, V1OwnerReference owner, PodSettings settings)
    {
        var meta = Owned(Meta(gang, pod.Name, settings), owner);
        meta.Annotations[GangNames.Node] = pod.Node.Name;
        return new V1Pod
        {
            Metadata = meta,
            Spec = new V1PodSpec
            {
                // The placement is decided, all or nothing; the scheduler could only undo a part of it.
                NodeName = pod.Node.Name,
                RestartPolicy = "Never",
                TerminationGracePeriodSeconds = (long)pod.Grace.TotalSeconds,
                AutomountServiceAccountToken = false,
                EnableServiceLinks = false,
                ServiceAccountName = Given(settings.ServiceAccount),
                PriorityClassName = Given(settings.PriorityClass),
                SecurityContext = Person(settings),
                Tolerations = [.. Tolerations(settings)],
                Containers = [Container(gang, pod, settings)],
                Volumes = [.. Volumes(settings)],
            },
        };
    }

    /// <summary>
    /// A pod that tries checkpoints: anywhere among our nodes, with the folders of those that train, with what those leave of a node, and
    /// the first that is taken away where it gets tight.
    /// </summary>
    public static V1Pod Generating(string name, PodSettings settings) => new()
    {
        Metadata = new V1ObjectMeta
        {
            Name = name,
            NamespaceProperty = settings.Namespace,
            Labels = new Dictionary<string, string> { [GangNames.ManagedBy] = GangNames.Us, [GangNames.Tries] = settings.Instance },
        },
        Spec = new V1PodSpec
        {
            NodeSelector = settings.NodeLabels.IsEmpty ? null : settings.NodeLabels.ToDictionary(),
            RestartPolicy = "Never",
            TerminationGracePeriodSeconds = (long)TryGrace.TotalSeconds,
            ActiveDeadlineSeconds = (long)TryWithin.TotalSeconds,
            AutomountServiceAccountToken = false,
            EnableServiceLinks = false,
            ServiceAccountName = Given(settings.ServiceAccount),
            SecurityContext = Person(settings),
            Tolerations = [.. settings.Tolerations.Select(Toleration)],
            Containers =
            [
                new V1Container
                {
                    Name = "try",
                    Image = settings.Image,
                    Command = [.. settings.Command],
                    Args = ["generate", "--stream"],
                    Stdin = true,
                    StdinOnce = true,
                    SecurityContext = Confined(),
                    VolumeMounts = [.. Mounts(settings)],
                },
            ],
            Volumes = [.. Shared(settings)],
        },
    };

    public static string TriesSelector(PodSettings settings) =>
        $"{GangNames.ManagedBy}={GangNames.Us},{GangNames.Tries}={settings.Instance}";

    /// <summary>A merge patch; null takes an annotation away.</summary>
    public static JsonObject Mark(NodeMark mark, PodSettings settings)
    {
        var set = mark as NodeMark.Set;
        return new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["annotations"] = new JsonObject
                {
                    [NodeMarks.CordonedBy] = set is null ? null : NodeMarks.Owner(settings), [NodeMarks.CordonReason] = set?.Reason,
                },
            },
            ["spec"] = new JsonObject { ["unschedulable"] = set is null ? null : true },
        };
    }

    private static V1Container Container(GangObjects gang, PodPlan pod, PodSettings settings) => new()
    {
        Name = "agent",
        Image = settings.Image,
        Command = [.. pod.Command],
        Args = [.. pod.Arguments],
        Env =
        [
            new V1EnvVar
            {
                Name = "DSOPS_POD_IP",
                ValueFrom = new V1EnvVarSource { FieldRef = new V1ObjectFieldSelector { FieldPath = "status.podIP" } },
            },
            new V1EnvVar
            {
                Name = LocalProcess.WorkerProgram.TokenVariable,
                ValueFrom = new V1EnvVarSource { SecretKeyRef = new V1SecretKeySelector { Name = gang.Name, Key = pod.Name } },
            },
            // It tells a key from others and opens nothing, so it need not be in the secret.
            .. pod.ControlPin.Length == 0 ? Array.Empty<V1EnvVar>()
                : [new V1EnvVar { Name = LocalProcess.WorkerProgram.PinVariable, Value = pod.ControlPin }],
            .. StoreKeysOf(settings),
        ],
        Resources = new V1ResourceRequirements
        {
            Requests = Quantities(pod),
            Limits = Quantities(pod),
        },
        SecurityContext = Confined(),
        VolumeMounts =
        [
            new V1VolumeMount { Name = SharedMemory, MountPath = "/dev/shm" },
            new V1VolumeMount { Name = PodFolder, MountPath = GangObjects.PodDirectory },
            .. Mounts(settings),
        ],
    };

    /// <summary>
    /// GPUs need no more: the device plugin's files may be opened by all, and nothing of ours locks memory for a network card, which would
    /// want IPC_LOCK.
    /// </summary>
    private static V1PodSecurityContext Person(PodSettings settings) => new()
    {
        RunAsNonRoot = settings.User > 0 ? true : null,
        RunAsUser = settings.User,
        RunAsGroup = settings.User,
        FsGroup = settings.User,
        // A volume of many terabytes is not walked through at each start.
        FsGroupChangePolicy = "OnRootMismatch",
        SeccompProfile = new V1SeccompProfile { Type = "RuntimeDefault" },
    };

    private static V1SecurityContext Confined() => new()
    {
        AllowPrivilegeEscalation = false, ReadOnlyRootFilesystem = true, Capabilities = new V1Capabilities { Drop = ["ALL"] },
    };

    /// <summary>By reference: neither the pod nor anything of ours holds them.</summary>
    private static IEnumerable<V1EnvVar> StoreKeysOf(PodSettings settings) => settings.CheckpointSecret.Length == 0 ? []
        : StoreKeys.Variables.Select(key => new V1EnvVar
        {
            Name = key,
            ValueFrom = new V1EnvVarSource
            {
                SecretKeyRef = new V1SecretKeySelector
                {
                    Name = settings.CheckpointSecret, Key = key, Optional = key == StoreKeys.TokenVariable ? true : null,
                },
            },
        });

    private static IEnumerable<V1VolumeMount> Mounts(PodSettings settings) =>
    [
        .. settings.Volumes.Select((v, i) => new V1VolumeMount { Name = NameOf(i), MountPath = v.Path, ReadOnlyProperty = v.ReadOnly }),
        .. OwnTemporary(settings) ? [new V1VolumeMount { Name = Temporary, MountPath = TemporaryFolder }] : Array.Empty<V1VolumeMount>(),
    ];

    /// <summary>The root file system is read-only; unless the operators have put a folder of theirs there.</summary>
    private static bool OwnTemporary(PodSettings settings) => settings.Volumes.All(v => v.Path.TrimEnd('/') != TemporaryFolder);

    private static IEnumerable<V1Volume> Volumes(PodSettings settings) =>
    [
        new V1Volume
        {
            Name = SharedMemory,
            EmptyDir = new V1EmptyDirVolumeSource
            {
                Medium = "Memory", SizeLimit = new ResourceQuantity(settings.SharedMemoryBytes.ToString(CultureInfo.InvariantCulture)),
            },
        },
        new V1Volume { Name = PodFolder, EmptyDir = new V1EmptyDirVolumeSource() },
        .. Shared(settings),
    ];

    private static IEnumerable<V1Volume> Shared(PodSettings settings) =>
    [
        .. settings.Volumes.Select((v, i) => v.Claim.Length > 0
            ? new V1Volume { Name = NameOf(i), PersistentVolumeClaim = new V1PersistentVolumeClaimVolumeSource { ClaimName = v.Claim } }
            : new V1Volume { Name = NameOf(i), HostPath = new V1HostPathVolumeSource { Path = v.HostPath } }),
        .. OwnTemporary(settings) ? [new V1Volume { Name = Temporary, EmptyDir = new V1EmptyDirVolumeSource() }] : Array.Empty<V1Volume>(),
    ];

    /// <summary>
    /// A node that is not ready does not take our pods from it after five minutes, as it would by default: whether a gang leaves is decided
    /// by us, who also hear its agents.
    /// </summary>
    private static IEnumerable<V1Toleration> Tolerations(PodSettings settings) =>
    [
        new V1Toleration { Key = "node.kubernetes.io/not-ready", OperatorProperty = "Exists", Effect = "NoExecute" },
        new V1Toleration { Key = "node.kubernetes.io/unreachable", OperatorProperty = "Exists", Effect = "NoExecute" },
        .. settings.Tolerations.Select(Toleration),
    ];

    private static V1Toleration Toleration(PodToleration given) => given.Value.Length == 0
        ? new V1Toleration { Key = given.Key, OperatorProperty = "Exists" }
        : new V1Toleration { Key = given.Key, OperatorProperty = "Equal", Value = given.Value };

    private static V1ObjectMeta Meta(GangObjects gang, string name, PodSettings settings) => new()
    {
        Name = name,
        NamespaceProperty = settings.Namespace,
        Labels = new Dictionary<string, string>
        {
            [GangNames.ManagedBy] = GangNames.Us, [GangNames.Instance] = settings.Instance, [GangNames.Gang] = gang.Name,
        },
        Annotations = new Dictionary<string, string>
        {
            [GangNames.Stage] = gang.Id.Stage.ToString(), [GangNames.Number] = gang.Id.Number.ToString(CultureInfo.InvariantCulture),
        },
    };

    private static V1ObjectMeta Owned(V1ObjectMeta meta, V1OwnerReference owner)
    {
        meta.OwnerReferences = [owner];
        return meta;
    }

    private static Dictionary<string, ResourceQuantity> Quantities(PodPlan pod) =>
        pod.Resources.ToDictionary(r => r.Key, r => new ResourceQuantity(r.Value), StringComparer.Ordinal);

    private static string NameOf(int volume) => string.Create(CultureInfo.InvariantCulture, $"volume-{volume}");

    private static string? Given(string name) => name.Length == 0 ? null : name;
}
