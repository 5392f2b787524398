using System.Collections.Immutable;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.Decisions.Doctor;

/// <param name="Allowed">Null: the server did not say.</param>
public sealed record RightSeen(ClusterRight Right, bool? Allowed);

/// <summary>A pod of ours that was put before the API server and not kept (dry run).</summary>
/// <param name="Refused">Its own words; empty: it would be taken.</param>
/// <param name="Code">Of the refusal; 0: none.</param>
public sealed record TrialPod(int Gpus, string Refused, int Code);

/// <summary>A quota of the namespace on the GPUs of its pods.</summary>
public sealed record QuotaSeen(string Name, long Most, long Used);

/// <param name="There">Null: there is no right to look.</param>
public sealed record ClaimSeen(string Name, bool? There, string Phase);

/// <summary>A Kubernetes cluster as its API server told of it.</summary>
/// <param name="Server">Its address; empty: none is known.</param>
public sealed record ClusterFacts(string Server)
{
    /// <summary>Why nothing could be asked; empty: it answers.</summary>
    public string Trouble { get; init; } = "";

    /// <summary>It answers, and does not know who we are.</summary>
    public bool Unauthorized { get; init; }

    /// <summary>"v1.33.1".</summary>
    public string Version { get; init; } = "";

    public ClockOffset? Clock { get; init; }

    public ImmutableArray<RightSeen> Rights { get; init; } = [];

    /// <summary>Served versions of TrainingPipeline; empty: it is not defined; null: not known.</summary>
    public ImmutableArray<string>? Definition { get; init; }

    /// <summary>The version that we use has a status of its own.</summary>
    public bool DefinitionHasStatus { get; init; }

    /// <summary>Null: there is no right to list them.</summary>
    public ImmutableArray<NodeFacts>? Nodes { get; init; }

    /// <summary>"scheduling.k8s.io/v1", of all that is served.</summary>
    public ImmutableArray<string> Groups { get; init; } = [];

    /// <summary>Resources of scheduling.k8s.io and scheduling.x-k8s.io, such as "podgroups".</summary>
    public ImmutableArray<string> SchedulingResources { get; init; } = [];

    /// <summary>Null: it could not be tried.</summary>
    public TrialPod? Trial { get; init; }

    /// <summary>As far as there is a right to look; a pod that is tried meets the others.</summary>
    public ImmutableArray<QuotaSeen> Quotas { get; init; } = [];

    public ImmutableArray<ClaimSeen> Claims { get; init; } = [];
}

/// <summary>Whether gangs could be placed on a Kubernetes cluster.</summary>
public static class ClusterCheck
{
    /// <summary>The oldest that the tests were put before.</summary>
    private const int OldestMinor = 20;

    private const int NamesShown = 3, NotFound = 404, Forbidden = 403;

    private const string ApplyAll = "`kubectl apply -k deploy/kubernetes`";

    /// <param name="definition">The version of TrainingPipeline that we use.</param>
    public static ImmutableArray<Finding> Of(ClusterFacts seen, PodSettings settings, string definition)
    {
        const string check = "cluster.api";
        if (seen.Trouble.Length > 0)
        {
            return
            [
                Finding.Fault(check, seen.Server.Length == 0 ? seen.Trouble : $"the API server at {seen.Server}: {seen.Trouble}",
                    seen.Unauthorized ? "Renew the credentials of the kubeconfig, or those of the pod's service account."
                        : "Name a kubeconfig with --kubeconfig, or look after the server and the network between (`kubectl version`)."),
            ];
        }

        return
        [
            Finding.Ok(check, $"{seen.Server} answers"), Version(seen), .. Rights(seen, settings), Definition(seen, definition),
            Nodes(seen, settings), Trial(seen, settings), .. seen.Claims.Select(c => Claim(c, settings)), Gangs(seen),
            ClockCheck.Of("clock.cluster", "the API server", seen.Clock),
        ];
    }

    private static Finding Version(ClusterFacts seen)
    {
        const string check = "cluster.version";
        string[] parts = seen.Version.TrimStart('v').Split('.');
        return parts.Length < 2 || !int.TryParse(parts[0], out int major) || !int.TryParse(parts[1].TrimEnd('+'), out int minor)
            || major == 0
            ? Finding.NotKnown(check, $"its version is '{seen.Version}', which says nothing of its release")
            : major == 1 && minor < OldestMinor
            ? Finding.Warning(check, $"Kubernetes {seen.Version} is older than 1.{OldestMinor}, the oldest that dsops is tested with",
                "Upgrade the cluster.")
            : Finding.Ok(check, $"Kubernetes {seen.Version}");
    }

    private static List<Finding> Rights(ClusterFacts seen, PodSettings settings)
    {
        const string check = "cluster.rights";
        string fix = "`kubectl apply -f deploy/kubernetes/access.yaml`, and run as the account that it names (namespace "
            + $"{settings.Namespace}).";
        var missing = seen.Rights.Where(r => r.Allowed == false).GroupBy(r => (r.Right.Resource, r.Right.EverywhereAsked, r.Right.For))
            .Select(g =>
            {
                string where = g.Key.EverywhereAsked ? "in the cluster" : $"in namespace {settings.Namespace}";
                return Finding.Fault(check, $"may not {string.Join(", ", g.Select(r => r.Right.Verb))} {g.Key.Resource} {where} "
                    + $"(for: {g.Key.For})", fix);
            }).ToList();
        int unknown = seen.Rights.Count(r => r.Allowed is null);
        if (unknown > 0 || seen.Rights.IsEmpty)
        {
            missing.Add(Finding.NotKnown(check, $"of {Math.Max(unknown, 1)} rights the server does not tell whether we have them",
                "`kubectl auth can-i --list` as the same account."));
        }

        return missing.Count > 0 ? missing : [Finding.Ok(check, $"all {seen.Rights.Length} rights that are used are there")];
    }

    private static Finding Definition(ClusterFacts seen, string version)
    {
        const string check = "cluster.definition";
        const string fix = "`kubectl apply -f deploy/kubernetes/pipelines.yaml`.";
        return seen.Definition is not { } served ? Finding.NotKnown(check, "whether TrainingPipeline is defined the server does not tell")
            : served.IsEmpty ? Finding.Fault(check, "TrainingPipeline is not defined (its CRD is missing): pipelines cannot stand as "
                + "objects, and its watch fails", fix)
            : !served.Contains(version)
            ? Finding.Fault(check, $"TrainingPipeline is served as {string.Join(", ", served)}, and {version} is used", fix)
            : !seen.DefinitionHasStatus ? Finding.Fault(check, $"TrainingPipeline {version} has no status of its own", fix)
            : Finding.Ok(check, $"TrainingPipeline is served as {string.Join(", ", served)}");
    }

    private static Finding Nodes(ClusterFacts seen, PodSettings settings)
    {
        const string check = "cluster.nodes";
        if (seen.Nodes is not { } nodes)
        {
            return Finding.NotKnown(check, "which nodes there are: the right to list them is missing");
        }

        string labels = string.Join(", ", settings.NodeLabels.Select(l => $"{l.Key}={l.Value}").Order(StringComparer.Ordinal));
        var labelled = nodes.Where(n => settings.NodeLabels.All(l => n.Labels.TryGetValue(l.Key, out string? has) && has == l.Value))
            .ToList();
        var ours = labelled.Where(n => NodeReading.IsOurs(n, settings)).ToList();
        var all = ours.Select(n => NodeReading.Of(n, [], settings)).ToList();
        var bad = all.Where(n => n.Health != NodeHealth.Ready).ToList();
        string which = labels.Length > 0 ? $" with {labels}" : "";
        string there = $"{Words.Count(ours.Count, "node", "nodes")}{which}, {Words.Count(ours.Sum(n => n.Gpus), "GPU", "GPUs")}";
        return nodes.IsEmpty ? Finding.Fault(check, "the cluster has no nodes", "Add nodes, or name another cluster with --kubeconfig.")
            : labelled.Count == 0
            ? Finding.Fault(check, $"no node of {nodes.Length} carries {labels}",
                $"`kubectl label node NODE {labels.Replace(", ", " ", StringComparison.Ordinal)}`, or correct kubernetes.nodeLabels.")
            : ours.Count == 0
            ? Finding.Fault(check, $"no node{which} of {nodes.Length} has {settings.GpuResource}",
                "Install the device plugin that offers it, or correct kubernetes.gpuResource.")
            : bad.Count == all.Count ? Finding.Fault(check, $"{there}, and none can be used: {Shown(bad)}", Uncordon)
            : bad.Count > 0
            ? Finding.Warning(check, $"{there}, {bad.Count} of which cannot be used: {Shown(bad)}", Uncordon)
            : Finding.Ok(check, $"{there}, all of them ready");
    }

    private const string Uncordon = "`kubectl describe node NODE` says why; `dsops cluster` shows the same.";

    private static string Shown(List<NodeSeen> bad) => string.Join("; ", bad.Take(NamesShown).Select(n => $"{n.Id.Name} ({n.Reason})"))
        + (bad.Count > NamesShown ? $" and {bad.Count - NamesShown} more" : "");

    private static Finding Trial(ClusterFacts seen, PodSettings settings)
    {
        const string check = "cluster.pods";
        if (seen.Trial is not { } trial)
        {
            return Finding.NotKnown(check, "whether a pod of a gang would be taken could not be tried");
        }

        string what = $"a pod with {Words.Count(trial.Gpus, $"{settings.GpuResource}", settings.GpuResource)}";
        string place = $"namespace {settings.Namespace}";
        return trial.Refused.Length == 0 && seen.Quotas.FirstOrDefault(q => q.Most - q.Used < trial.Gpus) is { } quota
            ? Finding.Fault("cluster.quota", $"quota {quota.Name} of {place} leaves {Math.Max(0, quota.Most - quota.Used)} of {quota.Most} "
                + $"{settings.GpuResource}, and {what} needs more", $"`kubectl -n {settings.Namespace} describe resourcequota`; raise it.")
            : trial.Refused.Length == 0
            ? Finding.Ok(check, $"{what} would be taken in {place} (dry run: quota, limits, admission)")
            : trial.Refused.Contains("exceeded quota", StringComparison.OrdinalIgnoreCase)
                || trial.Refused.Contains("failed quota", StringComparison.OrdinalIgnoreCase)
            ? Finding.Fault("cluster.quota", $"the quota of {place} refuses {what}: {trial.Refused}",
                $"`kubectl -n {settings.Namespace} describe resourcequota`; raise it, or ask for what it wants in kubernetes.resources.")
            : trial.Code == NotFound
            ? Finding.Fault("cluster.namespace", $"{place} is not there: {trial.Refused}", $"{ApplyAll}, or correct kubernetes.namespace.")
            : trial.Code == Forbidden && trial.Refused.Contains("cannot create resource", StringComparison.Ordinal)
            ? Finding.NotKnown(check, "whether a pod of a gang would be taken: the right to make pods is missing")
            : Finding.Fault(check, $"{place} refuses {what}: {trial.Refused}",
                "Look at what its words name: a limit range, service account, priority class or policy of the namespace.");
    }

    private static Finding Claim(ClaimSeen claim, PodSettings settings) => claim.There switch
    {
        null => Finding.NotKnown("cluster.volumes", $"whether claim {claim.Name} is there: dsops has no right to look",
            $"`kubectl -n {settings.Namespace} get pvc {claim.Name}`."),
        false => Finding.Fault("cluster.volumes",
            $"claim {claim.Name} is not there in namespace {settings.Namespace}: pods would wait for it",
            $"Make it ({ApplyAll}), or correct kubernetes.volumes."),
        _ when claim.Phase == "Lost" => Finding.Fault("cluster.volumes", $"claim {claim.Name} has lost its volume",
            $"`kubectl -n {settings.Namespace} describe pvc {claim.Name}`."),
        _ => Finding.Ok("cluster.volumes", $"claim {claim.Name} is there ({claim.Phase})"),
    };

    /// <summary>Told because people ask; nothing of it is needed.</summary>
    private static Finding Gangs(ClusterFacts seen)
    {
        string[] scheduling = [.. seen.Groups.Where(g => g.StartsWith("scheduling.", StringComparison.Ordinal))];
        string served = scheduling.Length == 0 ? "no scheduling API is served" : string.Join(", ", scheduling);
        string groups = seen.SchedulingResources.Contains("podgroups") || seen.SchedulingResources.Contains("workloads")
            ? "pod groups are on" : "pod groups are off";
        return Finding.Ok("cluster.gangs", $"gangs are placed by node, which needs no feature gate; {served}: {groups}");
    }
}
