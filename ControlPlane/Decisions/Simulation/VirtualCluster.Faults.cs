using System.Diagnostics;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Simulation;

internal sealed partial class VirtualCluster
{
    /// <summary>How a pod is told to have ended whose machine has booted since.</summary>
    public const int Booted = 255;

    /// <summary>How an agent is told to have ended that was killed.</summary>
    public const int Killed = 137;

    /// <summary>Batches that break a stage's numbers each time that they are trained.</summary>
    private readonly Dictionary<StageId, HashSet<long>> badBatches = [];

    /// <summary>What has happened, by cause.</summary>
    public SortedDictionary<string, int> Faults { get; } = new(StringComparer.Ordinal);

    /// <summary>When the last fault met a gang of the stage; what is stopped without one was healthy.</summary>
    public Dictionary<StageId, DateTimeOffset> LastFault { get; } = [];

    /// <summary>A machine is known to have gone or come since this was last set back.</summary>
    public bool NodesChanged { get; set; }

    /// <param name="until">When the machine is whole again. Null: a repair is drawn.</param>
    public void Strike(VirtualNode node, FaultCause cause, DateTimeOffset? until = null)
    {
        node.WholeAt = until > node.WholeAt || node.WholeAt is null ? until : node.WholeAt;
        if (!node.Up || node.GpuBad)
        {
            return;
        }

        var pod = Pods.FirstOrDefault(p => p.Node == node.Id && p.Alive);
        // A fault of the program needs a program, and a machine that nobody uses is checked before it is used.
        if (pod is null
            && cause.Effect is FaultEffect.RankExits or FaultEffect.RankHangs or FaultEffect.AgentEnds or FaultEffect.NumbersBreak)
        {
            return;
        }

        // Only a step has numbers.
        var job = pod is null ? null : JobOf(pod);
        job?.Advance(agenda.Now);
        if (cause.Effect == FaultEffect.NumbersBreak && (job is not { State: JobState.Training } || job.Step >= job.TotalSteps))
        {
            return;
        }

        Faults[cause.Name] = Faults.GetValueOrDefault(cause.Name) + 1;
        node.Fault = cause.Name;
        switch (cause.Effect)
        {
            case FaultEffect.RankExits:
                ExitRanks(pod!, cause.Name);
                break;
            case FaultEffect.RankHangs:
                pod!.Hung = true;
                BreakJobOf(pod, cause.Name);
                break;
            case FaultEffect.AgentEnds:
                BreakJobOf(pod!, cause.Name);
                End(pod!, Killed, cause.Name);
                break;
            case FaultEffect.NumbersBreak:
                BadBatches(job!.Stage).Add(job.BatchOf(job.Step + 1));
                BreakNumbers(job, job.Step + 1);
                break;
            case FaultEffect.GpuFails when pod is not null:
                node.GpuBad = true;
                ExitRanks(pod, cause.Name);
                break;
            case FaultEffect.GpuFails or FaultEffect.NodeLost:
                Lose(node, cause.Name);
                break;
            default:
                throw new UnreachableException($"effect {cause.Effect}");
        }
    }

    private void Lose(VirtualNode node, string cause)
    {
        foreach (var pod in Pods.Where(p => p.Node == node.Id && p.Phase != PodPhase.Exited).ToList())
        {
            BreakJobOf(pod, cause);
            pod.Alive = false;
        }

        node.Up = false;
        agenda.After(Agenda.Round(timing.NotReadyAfter), () => Notice(node));
        // Repairs take very different times: exponential, and no shorter than it takes to be noticed.
        double least = timing.NotReadyAfter * 2;
        double repair = node.WholeAt is { } at ? Math.Max(least, (at - agenda.Now).TotalSeconds)
            : least - (timing.Repair.TotalSeconds * Math.Log(1 - random.NextDouble()));
        agenda.After(Agenda.Round(repair), () => Repair(node));
    }

    private void Notice(VirtualNode node)
    {
        (node.KnownDown, NodesChanged) = (true, true);
        (nodesSeen, podsSeen) = (null, null);
    }

    private void Repair(VirtualNode node)
    {
        if (node.WholeAt > agenda.Now)
        {
            // Struck again while it was out.
            agenda.At(node.WholeAt.Value, () => Repair(node));
            return;
        }

        node.WholeAt = null;
        (node.Up, node.KnownDown, node.GpuBad, node.Fault) = (true, false, false, "");
        foreach (var pod in Pods.Where(p => p.Node == node.Id && p.Phase != PodPhase.Exited))
        {
            // The machine has booted: what ran there is certain to have ended.
            (pod.Phase, pod.ExitCode, pod.Error) = (PodPhase.Exited, Booted, "the node has booted");
        }

        (nodesSeen, podsSeen, NodesChanged) = (null, null, true);
    }

    /// <summary>The check between two gangs finds a bad GPU and takes the node out.</summary>
    private void MendIfLeft(VirtualNode node)
    {
        if (node is { GpuBad: true, Up: true } && !Pods.Any(p => p.Node == node.Id))
        {
            Lose(node, node.Fault);
            Notice(node);
        }
    }

    /// <summary>The ranks of the gang's first node find it and end; those of the others wait for them.</summary>
    private void BreakNumbers(TrainingJob job, long step)
    {
        if (PodsOf(job).FirstOrDefault(p => p.Node == job.Gang.Nodes[0]) is { } first)
        {
            var broke = new NotFinite("loss", NotFinite.InWords(double.NaN), step, job.BatchOf(step), 0, "", 0);
            first.Broke = broke;
            ExitRanks(first, broke.Sentence, ExitCodes.NotFinite);
        }
    }

    private HashSet<long> BadBatches(StageId stage) => badBatches.TryGetValue(stage, out var known) ? known : badBatches[stage] = [];

    private void ExitRanks(VirtualPod pod, string cause, int code = 1)
    {
        LastFault[pod.Stage] = agenda.Now;
        if (pod.Doing is RanksDo.Load or RanksDo.Train)
        {
            (pod.Doing, pod.ExitCode, pod.Error) = (RanksDo.Exited, code, cause);
            BreakJobOf(pod, cause);
        }
    }
}
