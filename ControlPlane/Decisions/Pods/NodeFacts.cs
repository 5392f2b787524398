using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Pods;

/// <param name="Status">"True", "False" or "Unknown".</param>
public sealed record NodeCondition(string Type, string Status, string Message);

/// <param name="Effect">"NoSchedule", "PreferNoSchedule" or "NoExecute".</param>
public sealed record NodeTaint(string Key, string Value, string Effect);

/// <summary>A node as the cluster's API tells of it.</summary>
/// <param name="Gpus">Allocatable, of the resource that ranks take.</param>
/// <param name="BootId">Another one: the machine was started anew, and nothing that ran before runs.</param>
public sealed record NodeFacts(
    string Name, ImmutableDictionary<string, string> Labels, bool Unschedulable, ImmutableArray<NodeTaint> Taints,
    ImmutableArray<NodeCondition> Conditions, int Gpus, string BootId)
{
    /// <summary>The control plane that made it unschedulable. Empty: none did.</summary>
    public string CordonedBy { get; init; } = "";

    public NodeCondition? Ready => Conditions.FirstOrDefault(c => c.Type == "Ready");

    /// <summary>An operator says that the machine is off: Kubernetes itself takes pods and volumes from it by this word.</summary>
    public bool OutOfService => Taints.Any(t => t.Key == "node.kubernetes.io/out-of-service");
}

/// <summary>What a node is to us: may gangs be placed there, why not, how many GPUs are free of others, and where it hangs.</summary>
public static class NodeReading
{
    /// <summary>
    /// Set by Kubernetes for what the conditions say already, and for a cordon; told by these more exactly.
    /// </summary>
    private const string KubernetesOwn = "node.kubernetes.io/";

    private const int HoldersShown = 3;

    private const int MessageLengthMax = 200;

    /// <summary>False: it is none of the nodes that we place on.</summary>
    public static bool IsOurs(NodeFacts node, PodSettings settings) => node.Gpus > 0
        && settings.NodeLabels.All(l => node.Labels.TryGetValue(l.Key, out string? value) && value == l.Value);

    /// <param name="others">Pods on this node that are none of ours.</param>
    public static NodeSeen Of(NodeFacts node, IEnumerable<PodFacts> others, PodSettings settings)
    {
        var holders = others.Where(p => p.Gpus > 0 && !p.Ended).OrderBy(p => p.FullName, StringComparer.Ordinal).ToList();
        int held = (int)Math.Min(node.Gpus, holders.Sum(p => (long)p.Gpus));
        var (health, why) = HealthOf(node, settings);
        string reason = (why.Length > 0, held > 0) switch
        {
            (true, true) => $"{why}; {Held(node, holders, held)}",
            (true, false) => why,
            (false, true) => Held(node, holders, held),
            _ => "ready",
        };
        return new NodeSeen(new NodeId(node.Name), health, reason, node.Gpus - held, LabelsOf(node, settings));
    }

    private static (NodeHealth Health, string Why) HealthOf(NodeFacts node, PodSettings settings)
    {
        if (node.OutOfService)
        {
            return (NodeHealth.NotReady, "an operator took it out of service");
        }

        // "Unknown" is Kubernetes' word for a kubelet that has stopped reporting. By itself it kills nothing here: a gang loses the node
        // only where its agent is silent too.
        switch (node.Ready)
        {
            case null:
                return (NodeHealth.Unknown, "its kubelet has not reported yet");
            case { Status: "Unknown" } lost:
                return (NodeHealth.NotReady, $"its kubelet does not report: {Short(lost.Message)}");
            case { Status: not "True" } bad:
                return (NodeHealth.NotReady, $"its kubelet says that it is not ready: {Short(bad.Message)}");
        }

        if (node.Conditions.FirstOrDefault(c => c.Status == "True" && settings.FatalConditions.Contains(c.Type)) is { } fatal)
        {
            return (NodeHealth.NotReady, $"{fatal.Type}: {Short(fatal.Message)}");
        }

        if (node.Conditions.FirstOrDefault(c => c.Status == "True" && c.Type.EndsWith("Pressure", StringComparison.Ordinal)) is { } full)
        {
            return (NodeHealth.Cordoned, $"{full.Type}: {Short(full.Message)}");
        }

        // Of a mark of ours the cordon that it shows is known here, with its reason; what was lifted here is free at once.
        if (node.Unschedulable && node.CordonedBy != NodeMarks.Owner(settings))
        {
            return (NodeHealth.Cordoned, Cordoned(node));
        }

        return node.Taints.FirstOrDefault(t => t.Effect is "NoSchedule" or "NoExecute" && !IsKubernetesOwn(t) && !Tolerated(t, settings))
            is { } taint
            ? (NodeHealth.Cordoned, $"taint {taint.Key}{(taint.Value.Length > 0 ? "=" : "")}{taint.Value}:{taint.Effect}, "
                + "which our pods do not tolerate")
            : (NodeHealth.Ready, "");
    }

    /// <summary>NVSentinel says who cordoned and why, by labels.</summary>
    private static string Cordoned(NodeFacts node) =>
        node.Labels.TryGetValue("k8saas.nvidia.com/cordon-by", out string? by)
            ? $"cordoned by {by}: {node.Labels.GetValueOrDefault("k8saas.nvidia.com/cordon-reason", "no reason given")}"
            : "cordoned in Kubernetes (kubectl uncordon gives it back)";

    private static bool IsKubernetesOwn(NodeTaint taint) => taint.Key.StartsWith(KubernetesOwn, StringComparison.Ordinal);

    private static bool Tolerated(NodeTaint taint, PodSettings settings) =>
        settings.Tolerations.Any(t => t.Key == taint.Key && (t.Value.Length == 0 || t.Value == taint.Value));

    private static string Held(NodeFacts node, List<PodFacts> holders, int held)
    {
        string who = string.Join(", ", holders.Take(HoldersShown).Select(p => p.FullName));
        string more = holders.Count > HoldersShown ? $" and {holders.Count - HoldersShown} more" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{held} of {node.Gpus} GPUs are held by {who}{more}");
    }

    private static ImmutableDictionary<string, string> LabelsOf(NodeFacts node, PodSettings settings)
    {
        var labels = node.Labels;
        if (First(settings.LeafLabels) is { } leaf)
        {
            labels = labels.SetItem(Fabric.LeafLabel, leaf);
        }

        return First(settings.ZoneLabels) is { } zone ? labels.SetItem(Fabric.ZoneLabel, zone) : labels;

        string? First(ImmutableArray<string> keys) => keys.Select(k => node.Labels.GetValueOrDefault(k)).FirstOrDefault(v => v is not null);
    }

    private static string Short(string message) => message.Length == 0 ? "no reason given"
        : message.Length <= MessageLengthMax ? message : $"{message[..MessageLengthMax]}…";
}
