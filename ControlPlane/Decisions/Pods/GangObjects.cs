using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Pods;

/// <summary>A pod as it is to be made: what Kubernetes has to be told, without its types.</summary>
/// <param name="Name">Also the key of its token in the gang's secret.</param>
/// <param name="Resources">Requested and limited alike, by resource.</param>
/// <param name="Grace">Between SIGTERM and SIGKILL.</param>
/// <param name="ControlPin">By which its agent knows the control plane's port; empty: by the authorities of its image.</param>
public sealed record PodPlan(
    string Name, NodeId Node, ImmutableArray<string> Command, ImmutableArray<string> Arguments,
    ImmutableDictionary<string, string> Resources, TimeSpan Grace, string ControlPin);

/// <summary>
/// All objects of a gang: one owner, by which the cluster cleans up what a crash of ours leaves; a secret with one token per pod; one pod
/// per node.
/// </summary>
/// <param name="Name">Of owner and secret, and the value of the label <see cref="GangNames.Gang"/>.</param>
public sealed record GangObjects(GangId Id, string Name, ImmutableArray<PodPlan> Pods, ImmutableDictionary<string, string> Tokens)
{
    /// <summary>Where the agent keeps its logs; gone with the pod.</summary>
    public const string PodDirectory = "/pod";

    /// <summary>Filled in by Kubernetes from the environment of the container.</summary>
    public const string OwnAddress = "$(DSOPS_POD_IP)";

    /// <param name="tokenOf">What the agent of a node shows when it reports.</param>
    public static GangObjects Of(GangGrant gang, PodSettings settings, Func<NodeId, string> tokenOf, string controlPin = "")
    {
        ImmutableArray<PodPlan> pods = [.. gang.Nodes.Select(node => Pod(gang, node, settings, controlPin))];
        return new GangObjects(gang.Id, GangNames.Of(gang.Id), pods, pods.ToImmutableDictionary(p => p.Name, p => tokenOf(p.Node)));
    }

    /// <summary>What is not there yet. A pod that is there in any state is left alone.</summary>
    public ImmutableArray<PodPlan> Missing(IEnumerable<PodFacts> seen)
    {
        var there = seen.Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        return [.. Pods.Where(p => !there.Contains(p.Name))];
    }

    private static PodPlan Pod(GangGrant gang, NodeId node, PodSettings settings, string controlPin)
    {
        ImmutableArray<string> arguments =
        [
            "agent", "--node", node.Name, "--run", gang.Stage.Run, "--stage", gang.Stage.Stage,
            "--gang", gang.Gang.ToString(CultureInfo.InvariantCulture), "--pod-dir", PodDirectory, "--control", settings.ControlUrl,
            "--save-within", Seconds(settings.SaveWithin), "--peer-host", OwnAddress,
        ];
        // A resource named among the others is not taken twice.
        var resources = settings.Resources.SetItem(
            settings.GpuResource, gang.SlotsPerNode.ToString(CultureInfo.InvariantCulture));
        return new PodPlan(GangNames.OfPod(gang.Id, node), node, settings.Command, arguments, resources,
            settings.SaveWithin + PodSettings.EndMargin, controlPin);
    }

    private static string Seconds(TimeSpan span) => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0}s");
}
