using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Pods;
using k8s.Models;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>From the API's objects to the records that decisions read.</summary>
internal static class ObjectReading
{
    private static readonly ImmutableDictionary<string, string> None = ImmutableDictionary<string, string>.Empty;

    public static NodeFacts Of(V1Node node, PodSettings settings) => new(
        node.Metadata.Name, node.Metadata.Labels?.ToImmutableDictionary() ?? None, node.Spec?.Unschedulable ?? false,
        [.. (node.Spec?.Taints ?? []).Select(t => new NodeTaint(t.Key, t.Value ?? "", t.Effect))],
        [.. (node.Status?.Conditions ?? []).Select(c => new NodeCondition(c.Type, c.Status, c.Message ?? c.Reason ?? ""))],
        Whole(node.Status?.Allocatable, settings.GpuResource), node.Status?.NodeInfo?.BootID ?? "")
    {
        CordonedBy = node.Metadata.Annotations is { } notes && notes.TryGetValue(NodeMarks.CordonedBy, out string? by) ? by : "",
    };

    public static PodFacts Of(V1Pod pod, PodSettings settings)
    {
        var container = pod.Status?.ContainerStatuses?.FirstOrDefault();
        var ended = container?.State?.Terminated ?? container?.LastState?.Terminated;
        var annotations = pod.Metadata.Annotations?.AsReadOnly();
        return new PodFacts(
            pod.Metadata.NamespaceProperty, pod.Metadata.Name, pod.Metadata.Uid, annotations is null ? null : GangNames.Read(annotations),
            pod.Spec?.NodeName ?? "", pod.Status?.Phase ?? "Pending", ReasonOf(pod, container, ended), ended?.ExitCode,
            GpusOf(pod, settings))
        {
            Deleting = pod.Metadata.DeletionTimestamp is not null,
            Started = container?.State?.Running is not null || ended is not null,
        };
    }

    private static string ReasonOf(V1Pod pod, V1ContainerStatus? container, V1ContainerStateTerminated? ended)
    {
        string[] said =
        [
            pod.Status?.Reason ?? "", pod.Status?.Message ?? "",
            ended?.Reason is { } how ? $"{how} (exit code {ended.ExitCode}){(ended.Message is { Length: > 0 } m ? $": {m}" : "")}" : "",
            container?.State?.Waiting is { Reason: { } waits } waiting ? $"{waits}: {waiting.Message ?? "no message"}" : "",
        ];
        return string.Join(": ", said.Where(s => s.Length > 0));
    }

    /// <summary>As the scheduler counts: the sum of the containers, or the largest of those that run before them.</summary>
    private static int GpusOf(V1Pod pod, PodSettings settings)
    {
        int beside = Of(pod.Spec?.Containers).Sum();
        return Math.Max(beside, Of(pod.Spec?.InitContainers).DefaultIfEmpty().Max());

        IEnumerable<int> Of(IEnumerable<V1Container>? containers) =>
            (containers ?? []).Select(c => Math.Max(Whole(c.Resources?.Requests, settings.GpuResource),
                Whole(c.Resources?.Limits, settings.GpuResource)));
    }

    private static int Whole(IDictionary<string, ResourceQuantity>? resources, string name) =>
        resources is not null && resources.TryGetValue(name, out var quantity)
            ? (int)Math.Clamp(Math.Floor(quantity.ToDecimal()), 0, int.MaxValue) : 0;

    /// <summary>"14:02:07 Warning FailedMount: …".</summary>
    public static string Line(Corev1Event told) => string.Create(CultureInfo.InvariantCulture,
        $"{told.LastTimestamp ?? told.EventTime:HH:mm:ss} {told.Type} {told.Reason}: {told.Message}");
}
