using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>A right that the control plane uses at the API server.</summary>
/// <param name="Resource">"pods", or "pods/log" with the part of it.</param>
/// <param name="EverywhereAsked">In all namespaces, or of what has none; else in our namespace.</param>
/// <param name="For">What does not work without it.</param>
public sealed record ClusterRight(string Verb, string Group, string Resource, bool EverywhereAsked, string For)
{
    /// <summary>"get pods/log".</summary>
    public string InWords => $"{Verb} {(Group.Length == 0 ? Resource : $"{Resource}.{Group}")}";
}

/// <summary>All of them: deploy/kubernetes/access.yaml grants these and no others, which a test compares.</summary>
public static class ClusterRights
{
    private const string Pipelines = "deepseekops.io";

    public static readonly ImmutableArray<ClusterRight> Used =
    [
        .. Of("", "nodes", everywhere: true, "which nodes there are", "list", "watch"),
        .. Of("", "nodes", everywhere: true, "cordons", "patch"),
        .. Of("", "pods", everywhere: true, "which GPUs others hold", "list", "watch"),
        .. Of("", "pods", everywhere: false, "gangs", "list", "watch", "create", "delete"),
        .. Of("", "configmaps", everywhere: false, "what owns a gang's objects", "list", "create", "delete"),
        .. Of("", "secrets", everywhere: false, "the tokens of a gang's agents", "create", "delete"),
        .. Of("", "pods/log", everywhere: false, "the last words of a pod that ended", "get"),
        .. Of("", "pods/attach", everywhere: false, "trying a checkpoint", "get", "create"),
        .. Of("", "events", everywhere: false, "why a pod did not start", "list"),
        .. Of(Pipelines, "trainingpipelines", everywhere: false, "pipelines as objects", "list", "watch", "patch"),
        .. Of(Pipelines, "trainingpipelines/status", everywhere: false, "their state", "patch"),
    ];

    private static IEnumerable<ClusterRight> Of(string group, string resource, bool everywhere, string why, params string[] verbs) =>
        verbs.Select(verb => new ClusterRight(verb, group, resource, everywhere, why));
}
