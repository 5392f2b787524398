using System.Collections.Immutable;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>The part `kubernetes:` of the cluster's settings.</summary>
internal static class PodNotation
{
    private const int GiB = 30;

    private static TextNotation DnsName { get; } = new(
        "a name of a-z, 0-9, '-' and '.', 253 characters at most", "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?");

    private static TextNotation Label { get; } = new("a label's key", "[A-Za-z0-9]([A-Za-z0-9._/-]{0,314}[A-Za-z0-9])?");

    private static TextNotation Path { get; } = new("a full path", "/[^\\x00-\\x1f]{0,4095}");

    private static Notation<ImmutableArray<string>> LabelKeys { get; } = new ListNotation<string>(Label, 0, 20, "label keys");

    private static Notation<ImmutableArray<PodToleration>> Tolerations { get; } = new ListNotation<PodToleration>(
        new ProjectedNotation<string, PodToleration>(
            new TextNotation("a taint's key, or key=value", "[^=\\s]{1,317}(=[^=\\s]{0,63})?"),
            text => new PodToleration(text.Split('=')[0], text.Contains('=', StringComparison.Ordinal) ? text.Split('=')[1] : ""),
            t => t.Value.Length == 0 ? t.Key : $"{t.Key}={t.Value}"),
        0, 50, "taints that pods tolerate");

    private static Mapping<PodVolume> Volume { get; } = new Mapping<PodVolume>("a volume", new PodVolume("", "", "", false))
        .With("path", Path, v => v.Path, (v, p) => v with { Path = p }, "Where pods see it.", required: true)
        .With("claim", DnsName, v => v.Claim, (v, c) => v with { Claim = c }, "A persistent volume claim of the namespace; or hostPath.")
        .With("hostPath", Path, v => v.HostPath, (v, p) => v with { HostPath = p }, "A folder of each node.")
        .With("readOnly", new FlagNotation(), v => v.ReadOnly, (v, r) => v with { ReadOnly = r }, "Pods may only read it.");

    public static Mapping<PodSettings> Pods { get; } = new Mapping<PodSettings>("settings of Kubernetes", new PodSettings())
        .With("image", new TextNotation("the name of an image", "[^\\s]{1,512}"), p => p.Image, (p, v) => p with { Image = v },
            "Image of the workers.", required: true)
        .With("controlUrl", new TextNotation(
            "an address such as https://dsops-agents:5082, or up to eight of them separated by commas",
            "https?://[^\\s/,]{1,300}/?(,https?://[^\\s/,]{1,300}/?){0,7}"),
            p => p.ControlUrl, (p, v) => p with { ControlUrl = v },
            "Where agents in pods reach the control plane (--agents); of several the first that answers.",
            required: true)
        .With("namespace", DnsName, p => p.Namespace, (p, v) => p with { Namespace = v }, "Where pods are made.")
        .With("instance", Spell.Name, p => p.Instance, (p, v) => p with { Instance = v },
            "Marks what this control plane made; two in one namespace need two names.")
        .With("command", new ListNotation<string>(Spell.Anything, 1, 50, "words"), p => p.Command, (p, v) => p with { Command = v },
            "What is started in the image; the agent's arguments follow.")
        .With("nodeLabels", ClusterNotation.Labels, p => p.NodeLabels, (p, v) => p with { NodeLabels = v },
            "Only nodes that carry all of these are used; none: all that have GPUs.")
        .With("gpuResource", Label, p => p.GpuResource, (p, v) => p with { GpuResource = v }, "Resource of which each rank takes one.")
        .With("resources", ClusterNotation.Labels, p => p.Resources, (p, v) => p with { Resources = v },
            "Further resources of each pod, such as rdma/hca_shared_devices_a=1 or memory=1Ti.")
        .With("sharedMemoryGiB", Spell.Int(1, 16_384), p => (int)(p.SharedMemoryBytes >> GiB),
            (p, v) => p with { SharedMemoryBytes = (long)v << GiB }, "Size of /dev/shm.")
        .With("tolerations", Tolerations, p => p.Tolerations, (p, v) => p with { Tolerations = v }, "Taints that pods tolerate.")
        .With("checkpoints", Path, p => p.Checkpoints, (p, v) => p with { Checkpoints = v },
            "Folder of checkpoints; the control plane and all pods see it under this path, so it must be on one of the volumes.")
        .With("checkpointSecret", DnsName, p => p.CheckpointSecret, (p, v) => p with { CheckpointSecret = v },
            "Secret of the namespace whose AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, where it has one) open the "
                + "checkpoint store; pods get them in their environment.")
        .With("volumes", new ListNotation<PodVolume>(Volume, 0, 50, "volumes"), p => p.Volumes, (p, v) => p with { Volumes = v },
            "Folders that pods see: checkpoints and data.")
        .With("serviceAccount", DnsName, p => p.ServiceAccount, (p, v) => p with { ServiceAccount = v },
            "Of the pods; no token of it is mounted.")
        .With("user", Spell.Int(0, int.MaxValue), p => p.User, (p, v) => p with { User = v },
            "User and group that pods run as, by number, and the group that volumes are given to where they can be. 0: root.")
        .With("priorityClass", DnsName, p => p.PriorityClass, (p, v) => p with { PriorityClass = v }, "Of the pods.")
        .With("saveWithin", Spell.Duration(TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)), p => p.SaveWithin,
            (p, v) => p with { SaveWithin = v }, "How long ranks may save when their pod is ended.")
        .With("leafLabels", LabelKeys, p => p.LeafLabels, (p, v) => p with { LeafLabels = v },
            "Labels that say under which leaf of the network a node hangs, best first.")
        .With("zoneLabels", LabelKeys, p => p.ZoneLabels, (p, v) => p with { ZoneLabels = v },
            "Labels that say in which zone a node is, best first.")
        .With("fatalConditions", new ListNotation<string>(new TextNotation("a condition", "[A-Za-z0-9._/-]{1,316}"), 0, 500,
                "conditions"),
            p => p.FatalConditions, (p, v) => p with { FatalConditions = v }, "Node conditions that take a node out while they are true.");

    public static IEnumerable<(string Title, IEnumerable<(string Name, string InWords, bool Required, string Doc)> Fields)> Tables =>
        [("kubernetes", ClusterNotation.Lines(Pods)), ("kubernetes.volumes", ClusterNotation.Lines(Volume))];

    public static void Check(PodSettings pods, Reading reading)
    {
        reading.Check(!pods.ControlUrl.Contains("http://", StringComparison.Ordinal), "kubernetes.controlUrl",
            $"'{pods.ControlUrl}' would show agents' tokens to whoever reads along; the port of --agents speaks TLS.",
            $"Write {pods.ControlUrl.Replace("http://", "https://", StringComparison.Ordinal)}; agents know the port by its pin, and no "
                + "certificate has to be made.", []);
        for (int i = 0; i < pods.Volumes.Length; i++)
        {
            var volume = pods.Volumes[i];
            reading.Check(volume.Claim.Length > 0 != volume.HostPath.Length > 0, $"kubernetes.volumes[{i}]",
                $"The volume at {volume.Path} has "
                    + $"{(volume.Claim.Length > 0 ? "both a claim and a hostPath" : "neither claim nor hostPath")}.",
                "Write one of them.", []);
            reading.Check(pods.Volumes.Take(i).All(v => v.Path != volume.Path), $"kubernetes.volumes[{i}].path",
                $"There is a volume at {volume.Path} already.", "Give each a path of its own.", []);
        }

        reading.Check(
            pods.Volumes.Any(v => !v.ReadOnly && (pods.Checkpoints == v.Path
                || pods.Checkpoints.StartsWith(v.Path.TrimEnd('/') + "/", StringComparison.Ordinal))),
            "kubernetes.checkpoints",
            $"{pods.Checkpoints} is on none of the volumes that pods may write to; what they save would go with them.",
            "Add it under 'volumes:', as a claim that many nodes can mount, or a hostPath of a shared file system.",
            ["kubernetes.volumes"]);
        foreach (var (name, amount) in pods.Resources.Where(r => !Quantity.IsMatch(r.Value)).OrderBy(r => r.Key, StringComparer.Ordinal))
        {
            reading.Check(false, "kubernetes.resources", $"'{amount}' is not an amount of {name}.",
                "Write a number, or one such as 512Gi.", []);
        }
    }

    /// <summary>Of the API: digits with a suffix of powers of ten or two.</summary>
    private static System.Text.RegularExpressions.Regex Quantity { get; } = new(@"\A[0-9]{1,15}(\.[0-9]{1,9})?(m|k|[MGTPE]|[KMGTPE]i)?\z");
}
