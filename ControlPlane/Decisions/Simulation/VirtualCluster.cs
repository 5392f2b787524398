using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>The machines and what runs on them, on a virtual clock. It does what it is told and decides nothing.</summary>
internal sealed partial class VirtualCluster(
    Agenda agenda, ImmutableArray<NodeSeen> machines, ClusterTiming timing, Func<StageId, StageTiming> stageTiming, double activeParameters,
    Random random)
{
    private readonly Dictionary<NodeId, VirtualNode> nodes = machines.ToDictionary(n => n.Id, n => new VirtualNode(n));
    private readonly Dictionary<GangId, List<VirtualPod>> gangs = [];
    private ImmutableArray<NodeSeen>? nodesSeen;
    private ImmutableArray<PodSeen>? podsSeen;
    private int agentsBegun;

    public GoodputLedger Ledger { get; } = new();

    public IReadOnlyDictionary<NodeId, VirtualNode> Nodes => nodes;

    public IEnumerable<VirtualPod> Pods => gangs.Values.SelectMany(g => g);

    /// <summary>All that is live of the machines' processes, told to who checks it.</summary>
    public IEnumerable<VirtualPod> LivePods => Pods.Where(p => p.Alive);

    public IEnumerable<VirtualPod> PodsOf(GangGrant gang) => gangs.TryGetValue(gang.Id, out var pods) ? pods : [];

    public ClusterSnapshot Observe()
    {
        nodesSeen ??= [.. machines.Select(m => nodes[m.Id].AsSeen())];
        podsSeen ??= [.. Pods.Select(
            p => new PodSeen(p.Gang, p.Node, PhaseSeen(p), null, p.Phase == PodPhase.Exited ? p.ExitCode : null, p.Error))];
        return new ClusterSnapshot(nodesSeen.Value, podsSeen.Value, agenda.Now) { DealsUnevenly = timing.DealsUnevenly };
    }

    /// <summary>Once for each node of the gang, however often it is said.</summary>
    public void CreatePods(GangGrant gang)
    {
        var pods = gangs.TryGetValue(gang.Id, out var there) ? there : gangs[gang.Id] = [];
        var has = pods.Select(p => p.Node).ToHashSet();
        foreach (var (index, node) in gang.Nodes.Index().Where(n => !has.Contains(n.Item)))
        {
            // One that comes to a gang is told its place with its ranks.
            var pod = new VirtualPod(gang.Id, node, has.Count == 0 ? index : int.MaxValue, $"agent-{++agentsBegun}", this);
            pods.Add(pod);
            agenda.After(Draw(timing.PodStart), () => Begin(pod));
        }

        podsSeen = null;
    }

    /// <summary>True once it is certain that nothing of the gang runs: its pods have ended, or their machine is known to be gone.</summary>
    public bool DeletePods(GangId gang) => DeletePods(gang, null);

    /// <param name="on">The pods on these nodes alone. Null: all.</param>
    public bool DeletePods(GangId gang, HashSet<NodeId>? on)
    {
        if (!gangs.TryGetValue(gang, out var all))
        {
            return true;
        }

        var pods = on is null ? all : all.FindAll(p => on.Contains(p.Node));
        foreach (var pod in pods.Where(p => p is { Phase: not PodPhase.Exited, Ending: false } && p.Machine.Up))
        {
            pod.Ending = true;
            agenda.After(Agenda.Round(timing.EndPod), () => End(pod, 143, "ended by order"));
        }

        podsSeen = null;
        if (pods.Exists(p => p.Phase != PodPhase.Exited && !p.Machine.KnownDown))
        {
            return false;
        }

        if (pods.Count == all.Count)
        {
            gangs.Remove(gang);
        }
        else
        {
            all.RemoveAll(pods.Contains);
        }

        pods.ForEach(p => MendIfLeft(p.Machine));
        return true;
    }

    /// <summary>Ends the pods of all gangs but these.</summary>
    public void FenceAllBut(ImmutableHashSet<GangId> wanted)
    {
        foreach (var gang in gangs.Keys.Where(g => !wanted.Contains(g)).ToList())
        {
            DeletePods(gang);
        }
    }

    private void Begin(VirtualPod pod)
    {
        if (pod.Phase == PodPhase.Pending && !pod.Ending && pod.Machine.Up)
        {
            (pod.Phase, pod.Alive) = (PodPhase.Running, true);
            podsSeen = null;
        }
    }

    public void End(VirtualPod pod, int exitCode, string error)
    {
        // A machine that is gone ends nothing and tells nothing.
        if (pod.Phase == PodPhase.Exited || !pod.Machine.Up)
        {
            return;
        }

        BreakJobOf(pod, "");
        (pod.Phase, pod.Alive, pod.ExitCode, pod.Error) = (PodPhase.Exited, false, exitCode, error);
        podsSeen = null;
    }

    private static PodPhase PhaseSeen(VirtualPod pod) =>
        pod.Machine.KnownDown && pod.Phase != PodPhase.Exited ? PodPhase.Unknown : pod.Phase;

    /// <summary>Whole seconds, as ticks are: what hundreds of pods do is then done at few moments.</summary>
    private TimeSpan Draw((double From, double To) range) =>
        TimeSpan.FromSeconds(Math.Ceiling(range.From + (random.NextDouble() * (range.To - range.From))));
}
