using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Pods;

/// <summary>A pod as the cluster's API tells of it.</summary>
/// <param name="Gang">Null: it is none of ours.</param>
/// <param name="Node">The node that it is bound to; empty: none yet.</param>
/// <param name="Phase">"Pending", "Running", "Succeeded", "Failed" or "Unknown".</param>
/// <param name="Reason">In the API's words: why it waits, or why it ended.</param>
/// <param name="ExitCode">Of its container; null: it has not ended, or nobody knows how.</param>
/// <param name="Gpus">That it asks for.</param>
public sealed record PodFacts(
    string Namespace, string Name, string Uid, GangId? Gang, string Node, string Phase, string Reason, int? ExitCode, int Gpus)
{
    /// <summary>It is asked to end, by whomever.</summary>
    public bool Deleting { get; init; }

    /// <summary>A container of it was started at some time.</summary>
    public bool Started { get; init; }

    public string FullName => $"{Namespace}/{Name}";

    /// <summary>Nothing of it runs any more, and nothing of it will.</summary>
    public bool Ended => Phase is "Succeeded" or "Failed";
}

/// <summary>Why a pod ended, kept from before it was deleted: what `kubectl` would no longer tell.</summary>
/// <param name="LogTail">Last lines of its container; empty: there are none, or they could not be had.</param>
/// <param name="Events">What the cluster said of it, oldest first.</param>
public sealed record PodEvidence(
    GangId Gang, NodeId Node, string Pod, int? ExitCode, string Reason, string LogTail, ImmutableArray<string> Events, DateTimeOffset At);

/// <summary>What a pod of a gang is to us.</summary>
public static class PodReading
{
    /// <param name="node">The pod's node; null: the cluster has it no more.</param>
    public static PodSeen? Of(PodFacts pod, NodeFacts? node)
    {
        if (pod.Gang is not { } gang)
        {
            return null;
        }

        // Of a kubelet that does not report, what it said last of its pods is all that the API still says.
        bool silent = node?.Ready is not { Status: "True" } && pod.Node.Length > 0;
        var phase = pod.Phase switch
        {
            "Succeeded" or "Failed" => PodPhase.Exited,
            "Running" when !silent => PodPhase.Running,
            "Pending" => PodPhase.Pending,
            _ => PodPhase.Unknown,
        };
        string reason = (pod.Reason, pod.Deleting) switch
        {
            ({ Length: > 0 } said, true) => $"{said}; it is being deleted",
            ("", true) => "it is being deleted",
            _ => pod.Reason,
        };
        return new PodSeen(gang, new NodeId(pod.Node), phase, Pid: null, phase == PodPhase.Exited ? pod.ExitCode : null,
            reason.Length > 0 ? reason : string.Create(CultureInfo.InvariantCulture, $"pod {pod.Name} is {pod.Phase}"))
        {
            Cause = phase is PodPhase.Exited or PodPhase.Pending ? pod.Reason : "",
        };
    }
}
