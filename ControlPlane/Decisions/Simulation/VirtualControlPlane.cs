using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>The deciders that a simulation drives. The real ones, but where a test breaks one on purpose.</summary>
public sealed record Deciders(
    Func<Stage, Observation, DateTimeOffset, Decision> Stage,
    Func<Run, ImmutableArray<StageReport?>, DateTimeOffset, RunDecision> Run,
    Func<PlacementQuestion, PlacementAnswer> Placement)
{
    public static Deciders Real { get; } = new(StagePlanner.Decide, RunPlanner.Decide, PlacementQueue.Decide);
}

/// <summary>The process has ended, between a write and what was to be done about it.</summary>
internal sealed class ControlPlaneEndedException : Exception
{
    public ControlPlaneEndedException()
        : base("the control plane ended between a write and its actions")
    {
    }
}

/// <summary>
/// Observe, decide, write, act, as the grains do it, with a disk that outlives it. Everything that is decided is decided by
/// <see cref="Deciders"/>.
/// </summary>
internal sealed class VirtualControlPlane(VirtualCluster cluster, Func<DateTimeOffset> clock, Deciders deciders, PlacementPolicy policy)
{
    private const int TurnsPerTick = 16;

    private readonly Dictionary<StageId, StageMemory> memory = [];
    private readonly Dictionary<string, (Run Run, List<(Type?, int?, StageWish?)> Moved)> decidedOn = [];

    /// <summary>Written; a crash forgets none of it.</summary>
    public SortedDictionary<string, Run> Runs { get; } = new(StringComparer.Ordinal);

    public Dictionary<StageId, Stage> Stages { get; } = [];

    public ImmutableArray<GangGrant> Held { get; private set; } = [];

    public ImmutableArray<GangRequest> Waiting { get; private set; } = [];

    /// <summary>Every event told, in order.</summary>
    public List<RunEvent> Told { get; } = [];

    /// <summary>Drawn at each point where a crash would hurt most; true ends the process there.</summary>
    public Func<bool> Crashes { get; init; } = () => false;

    /// <summary>The cluster does not answer: unknown.</summary>
    public Func<bool> ClusterSilent { get; init; } = () => false;

    public bool Ended => Runs.Values.All(r => r.Phase.Terminal);

    public void Submit(RunSubmission submission) => Runs.Add(submission.Name, RunCommands.Begin(submission, clock()));

    /// <summary>A new process: what was only in memory is gone.</summary>
    public void Restart()
    {
        memory.Clear();
        decidedOn.Clear();
    }

    /// <returns>True when a run or a stage came into another phase, so that the next tick may find more to do.</returns>
    public bool Tick()
    {
        bool moved = false;
        cluster.FenceAllBut([.. Held.Select(h => h.Id)]);
        foreach (var leaving in Drains.Of(Seen(), [], Held))
        {
            MemoryOf(leaving.Stage).Preemption = leaving;
        }

        foreach (string name in Runs.Keys.ToList())
        {
            for (int turn = 0; turn < TurnsPerTick && RunTurn(name); turn++)
            {
                moved = true;
            }
        }

        foreach (var id in Stages.Where(s => !s.Value.Phase.Terminal).Select(s => s.Key).ToList())
        {
            var before = Stages[id].Phase;
            for (int turn = 0; turn < TurnsPerTick && StageTurn(id); turn++)
            {
            }

            moved |= before.GetType() != Stages[id].Phase.GetType();
        }

        return moved;
    }

    public WorkerReply Register(AgentRegistration registration)
    {
        var stage = Stages[registration.Stage];
        var of = MemoryOf(registration.Stage);
        of.Vitals = of.Vitals.Take(registration, Now());
        return new WorkerReply(WorkerOrders.For(stage, registration.Node, registration.Attempt, registration.Ranks), WorkerOrders.BeatSoon, 0);
    }

    public WorkerReply Heartbeat(AgentBeat beat)
    {
        var stage = Stages[beat.Stage];
        var of = MemoryOf(beat.Stage);
        of.Vitals = of.Vitals.Take(beat, stage.Watched, of.Rejoining && !beat.Ranks.IsEmpty, Now());
        of.Rejoining &= beat.Ranks.IsEmpty;
        var heard = of.Heard.GetValueOrDefault(beat.Node);
        heard = heard.Agent == beat.AgentId ? (heard.Agent, Math.Max(heard.Sequence, beat.Sequence), heard.Decided) : (beat.AgentId, beat.Sequence, 0);
        of.Heard[beat.Node] = of.Vitals.News.IsEmpty ? heard with { Decided = heard.Sequence } : heard;
        return new WorkerReply(WorkerOrders.For(stage, beat.Node, beat.Attempt, beat.Ranks), WorkerOrders.BeatEvery, of.Heard[beat.Node].Decided);
    }

    private bool RunTurn(string name)
    {
        var run = Runs[name];
        var moved = run.Stages.Select(s => Stages.GetValueOrDefault(new StageId(name, s.Work.Name))).Select(s => (s?.Phase.GetType(), s?.Round, s?.Wish)).ToList();
        if (decidedOn.TryGetValue(name, out var before) && ReferenceEquals(before.Run, run) && before.Moved.SequenceEqual(moved))
        {
            // The same run and phases give the same decision, and reports of 2,048 ranks are dear.
            return false;
        }

        decidedOn[name] = (run, moved);
        var reports = run.Stages.Select(s => ReportOf(new StageId(name, s.Work.Name))).ToImmutableArray();
        var decision = deciders.Run(run, reports, clock());
        var next = decision.Next;
        Told.AddRange(next.Outbox);
        // A gate that waits for a person gets one who says go.
        if (next is { Phase: RunPhase.Paused } && RunCommands.Resume(next, "the simulated person says go", clock()) is CommandDecision.Take go)
        {
            next = go.Next;
        }

        bool writes = !ReferenceEquals(next, run);
        Runs[name] = next.Outbox.IsEmpty ? next : next with { Outbox = [] };
        EndWhereDrawn();
        foreach (var wish in decision.Wishes)
        {
            var known = Stages.GetValueOrDefault(wish.Stage);
            if (known is null || StageWishes.Differs(known.Wish, wish))
            {
                Stages[wish.Stage] = known is null ? Stage.New(wish) : known with { Wish = wish };
                writes = true;
            }
        }

        return writes;
    }

    private bool StageTurn(StageId id)
    {
        var stage = Stages[id];
        var of = MemoryOf(id);
        var seen = Observe(stage, of);
        var heard = of.Heard.ToList();
        var decision = deciders.Stage(stage, seen, clock());
        bool writes = !ReferenceEquals(decision.Next, stage);
        if (writes)
        {
            Told.AddRange(decision.Next.Outbox);
            Stages[id] = decision.Next with { Outbox = [] };
            EndWhereDrawn();
        }

        of.Vitals = of.Vitals.Written(seen.News, Stages[id].Watched, Now());
        foreach (var (node, (agent, sequence, _)) in heard)
        {
            if (of.Heard[node].Agent == agent)
            {
                of.Heard[node] = of.Heard[node] with { Decided = sequence };
            }
        }

        bool acted = false;
        foreach (var action in decision.Actions)
        {
            acted |= Act(action, of);
        }

        return writes || acted;
    }

    private Observation Observe(Stage stage, StageMemory of)
    {
        var snapshot = stage.Phase.GangOrNull is null || ClusterSilent() ? null : cluster.Observe();
        var placement = StagePlanner.RequestFor(stage) is { } request ? Place(request) : null;
        return of.Vitals.Observe(stage.Watched, snapshot, Now()) with { Placement = placement, GoneGang = of.GoneGang, Preemption = of.Preemption };
    }

    private PlacementDecision? Place(GangRequest request)
    {
        if (Held.FirstOrDefault(h => h.Id == request.Id) is { } held)
        {
            return new PlacementDecision.Placed(held, $"holds {held.Nodes.Length} nodes");
        }

        if (!Waiting.Any(w => w.Id == request.Id))
        {
            Waiting = Waiting.RemoveAll(w => w.Stage == request.Stage).Add(request);
        }

        var answer = deciders.Placement(new PlacementQuestion(Seen(), Held, Waiting, policy, clock()));
        foreach (var placed in answer.Placed)
        {
            Held = Held.Add(placed.Grant);
            Waiting = Waiting.RemoveAll(w => w.Id == placed.Grant.Id);
        }

        EndWhereDrawn();
        foreach (var preemption in answer.Preemptions)
        {
            MemoryOf(preemption.Stage).Preemption = preemption;
        }

        return answer.Placed.FirstOrDefault(p => p.Grant.Stage == request.Stage) as PlacementDecision ?? answer.Pending.GetValueOrDefault(request.Stage);
    }

    private ClusterSnapshot Seen() => cluster.Observe().With(policy, clock());

    private bool Act(StageAction action, StageMemory of)
    {
        switch (action)
        {
            case StageAction.CreatePods create:
                cluster.CreatePods(create.Gang);
                return false;
            case StageAction.EndGang end:
                if (!cluster.DeletePods(end.Gang))
                {
                    return false;
                }

                Held = Held.RemoveAll(h => h.Id == end.Gang);
                Waiting = Waiting.RemoveAll(w => w.Id == end.Gang);
                EndWhereDrawn();
                of.GoneGang = end.Gang;
                return true;
            default:
                throw new UnreachableException($"action {action}");
        }
    }

    private StageReport? ReportOf(StageId id) => Stages.TryGetValue(id, out var stage)
        ? StageViews.Report(stage, stage.Reason, MemoryOf(id).Vitals.Observe(stage.Watched, null, Now())) : null;

    private StageMemory MemoryOf(StageId id) => memory.TryGetValue(id, out var of) ? of
        : memory[id] = new StageMemory(Vitals.Fresh(Now())) { Rejoining = Stages.GetValueOrDefault(id)?.Phase is Phase.Running };

    private Instant Now() => Instant.OfOneClock(clock());

    private void EndWhereDrawn()
    {
        if (Crashes())
        {
            throw new ControlPlaneEndedException();
        }
    }

    private sealed class StageMemory(Vitals vitals)
    {
        public Vitals Vitals { get; set; } = vitals;

        public bool Rejoining { get; set; }

        public GangId? GoneGang { get; set; }

        public Preemption? Preemption { get; set; }

        public Dictionary<NodeId, (string Agent, long Sequence, long Decided)> Heard { get; } = [];
    }
}
