using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Pods;

/// <summary>What is to be done with one pod whose gang is over.</summary>
public abstract record PodStep(string Pod, string Why)
{
    /// <summary>Keep its evidence, then ask for its end.</summary>
    public sealed record Delete(string Pod, TimeSpan Grace, string Why) : PodStep(Pod, Why);

    /// <summary>Take the object away without hearing from its kubelet: nothing of it runs, and that is certain.</summary>
    public sealed record Force(string Pod, string Why) : PodStep(Pod, Why);

    /// <summary>It was asked to end; its kubelet has not said that it did.</summary>
    /// <param name="Fenced">Whatever still runs can do no harm, so that its gang may go on elsewhere.</param>
    public sealed record Wait(string Pod, bool Fenced, string Why) : PodStep(Pod, Why);
}

/// <summary>
/// How pods of a gang end. Two questions that are easily taken for one. May the gang go on elsewhere? Yes, once each pod is gone or
/// fenced: its node takes no new pods, and agents, peers and checkpoints of an older gang are refused by its number. May the object be
/// deleted by force? Only where it is certain that nothing runs: Kubernetes would otherwise give its name and GPUs away under a process
/// that may still be there.
/// </summary>
public static class PodEnding
{
    /// <param name="nodes">By name; a node that is missing is no longer one of the cluster.</param>
    /// <param name="startedOn">Boot of the node on which each pod was first seen to run, by uid; absent: not seen.</param>
    public static ImmutableArray<PodStep> Of(
        IEnumerable<PodFacts> pods, IReadOnlyDictionary<string, NodeFacts> nodes, IReadOnlyDictionary<string, string> startedOn,
        TimeSpan grace) =>
        [.. pods.OrderBy(p => p.Name, StringComparer.Ordinal).Select(p => Step(p, nodes, startedOn.GetValueOrDefault(p.Uid), grace))];

    /// <summary>True: none of these pods can do anything for its gang any more.</summary>
    public static bool Certain(ImmutableArray<PodStep> steps) =>
        steps.All(s => s is PodStep.Force or PodStep.Wait { Fenced: true });

    private static PodStep Step(PodFacts pod, IReadOnlyDictionary<string, NodeFacts> nodes, string? boot, TimeSpan grace)
    {
        var node = nodes.GetValueOrDefault(pod.Node);
        string? over = NothingRuns(pod, node, boot);
        if (!pod.Deleting)
        {
            return new PodStep.Delete(pod.Name, over is null ? grace : TimeSpan.Zero, over ?? "its gang is over");
        }

        if (over is not null)
        {
            return new PodStep.Force(pod.Name, over);
        }

        return node is { Ready.Status: "True" } ? new PodStep.Wait(pod.Name, Fenced: false, $"{pod.Node} is ending it")
            : new PodStep.Wait(pod.Name, Fenced: true,
                $"{pod.Node} does not report, so that nobody can say whether it still runs; it takes no new pods until it does, and "
                    + "what an older gang reports, sends or saves is refused");
    }

    /// <summary>Why it is certain that no process of the pod runs; null: it is not.</summary>
    private static string? NothingRuns(PodFacts pod, NodeFacts? node, string? boot) => node switch
    {
        _ when pod.Ended => "its container has ended",
        _ when pod.Node.Length == 0 => "it was never bound to a node",
        null => $"{pod.Node} is no longer a node of the cluster",
        { OutOfService: true } => $"an operator took {pod.Node} out of service",
        _ when boot is { Length: > 0 } && node.BootId.Length > 0 && node.BootId != boot => $"{pod.Node} was restarted since",
        _ => null,
    };
}
