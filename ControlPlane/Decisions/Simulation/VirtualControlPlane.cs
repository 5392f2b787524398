using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
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

    /// <summary>How a stage's engine makes a tick.</summary>
    public Func<StageEngine, IEnumerable<StageEffect>> Tick { get; init; } = engine => engine.Tick();

    /// <summary>How it hears a beat.</summary>
    public Func<StageEngine, AgentBeat, Instant,
        WorkerReply> Hear
    { get; init; } = (engine, beat, now) => engine.Heartbeat(beat, now, _ => beat.Sequence).Reply;

    /// <summary>How a run's engine makes a tick.</summary>
    public Func<RunEngine, IEnumerable<RunEffect>> RunTick { get; init; } = engine => engine.Tick();

    /// <summary>How it hears a stage. True: it moved.</summary>
    public Func<RunEngine, StageReport, bool> RunHear { get; init; } = (engine, report) => engine.Hear(report);
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
/// Hosts the engines of all runs and stages, with a disk that outlives them. All that is decided is decided by <see cref="Deciders"/>.
/// </summary>
internal sealed class VirtualControlPlane(VirtualCluster cluster, Func<DateTimeOffset> clock, Deciders deciders, PlacementPolicy policy)
{
    private readonly Dictionary<StageId, StageEngine> engines = [];
    private readonly Dictionary<string, RunEngine> runEngines = [];

    // Written, as runs and stages are.
    private GangBook book = GangBook.Empty;
    private ImmutableArray<TriedNode> tried = [];
    private ImmutableArray<NodeSeen> followed = [];
    private (ImmutableArray<NodeSeen> Of, ImmutableArray<TriedNode> Tried, ImmutableArray<NodeSeen> Marked) marked = ([], [], []);
    private (PlacementQuestion Question, PlacementAnswer Answer)? asked;

    /// <summary>Written; a crash forgets none of it.</summary>
    public SortedDictionary<string, Run> Runs { get; } = new(StringComparer.Ordinal);

    public Dictionary<StageId, Stage> Stages { get; } = [];

    public ImmutableArray<GangGrant> Held => book.Held;

    public ImmutableArray<GangRequest> Waiting => book.Waiting;

    /// <summary>Every event told, in order.</summary>
    public List<RunEvent> Told { get; } = [];

    /// <summary>Incidents that a person was asked about.</summary>
    public HashSet<(StageId, int Number)> Handed { get; } = [];

    /// <summary>Drawn at each point where a crash would hurt most; true ends the process there.</summary>
    public Func<bool> Crashes { get; init; } = () => false;

    /// <summary>The cluster does not answer: unknown.</summary>
    public Func<bool> ClusterSilent { get; init; } = () => false;

    public bool Ended => Runs.Values.All(r => r.Phase.Terminal);

    public void Submit(RunSubmission submission)
    {
        foreach (var effect in RunEngineOf(submission.Name).Begin(submission, clock(), new AskedOfRun()))
        {
            Do(effect);
        }
    }

    /// <summary>A new process: what was only in memory is gone.</summary>
    public void Restart()
    {
        engines.Clear();
        runEngines.Clear();
    }

    /// <returns>True when a run or a stage came into another phase, so that the next tick may find more to do.</returns>
    public bool Tick()
    {
        bool moved = false;
        cluster.FenceAllBut([.. Held.Select(h => h.Id)]);
        var seen = Seen();
        if (seen.Nodes != followed)
        {
            (tried, followed) = (TriedNodes.Follow(tried, seen, Held), seen.Nodes);
        }

        foreach (var leaving in Drains.Of(seen, [], Held))
        {
            EngineOf(leaving.Stage).Preempt(leaving);
        }

        foreach (string name in Runs.Keys.ToList())
        {
            moved |= TickRun(name);
        }

        foreach (var id in Stages.Where(s => !s.Value.Phase.Terminal).Select(s => s.Key).ToList())
        {
            var before = Stages[id];
            Carry(deciders.Tick(EngineOf(id)));
            var after = Stages[id];
            moved |= before.Phase.GetType() != after.Phase.GetType();
            // A run hears of what can change its mind alone: reports of 2,048 ranks are dear.
            if (before.Phase.GetType() != after.Phase.GetType() || before.Hold != after.Hold)
            {
                deciders.RunHear(RunEngineOf(id.Run), EngineOf(id).Report(Now())!);
            }
        }

        return moved;
    }

    public WorkerReply Register(AgentRegistration registration) => EngineOf(registration.Stage).Register(registration, Now());

    public WorkerReply Heartbeat(AgentBeat beat) => deciders.Hear(EngineOf(beat.Stage), beat, Now());

    /// <returns>True: the run, or a stage that it told what is wanted, was written.</returns>
    private bool TickRun(string name)
    {
        var engine = RunEngineOf(name);
        // At the same news the same is decided; nothing in a simulation is decided by the clock alone.
        if (!engine.News)
        {
            return false;
        }

        bool wrote = Carry(deciders.RunTick(engine));
        // A gate that waits for a person gets one who says go.
        if (engine.Run is { Phase: RunPhase.Paused })
        {
            wrote |= Carry(engine.Command((run, _) => RunCommands.Resume(run, "the simulated person says go", clock()), new AskedOfRun()));
            wrote |= Carry(deciders.RunTick(engine));
        }

        return wrote;
    }

    /// <summary>Does what a run's engine asks for. True: something was written.</summary>
    private bool Carry(IEnumerable<RunEffect> effects)
    {
        bool wrote = false;
        foreach (var effect in effects)
        {
            wrote |= Do(effect);
            EndWhereDrawn();
        }

        return wrote;
    }

    private bool Do(RunEffect effect) => effect.Match(
        askStages: ask =>
        {
            ask.Reports = [.. ask.Stages.Select(ReportOf)];
            return false;
        },
        lookAtClock: look =>
        {
            look.Now = clock();
            return false;
        },
        // Nothing lies under a name that is submitted for the first time.
        lookAtFolders: _ => false,
        write: write =>
        {
            Told.AddRange(write.Next.Outbox);
            var written = write.Next.Outbox.IsEmpty ? write.Next : write.Next with { Outbox = [] };
            Runs[written.Name] = written;
            write.Written(written);
            return true;
        },
        want: want =>
        {
            bool wrote = Carry(EngineOf(want.Wish.Stage).Want(want.Wish));
            want.Report = ReportOf(want.Wish.Stage);
            return wrote;
        });

    /// <summary>Does what an engine asks for. True: it asked for anything.</summary>
    private bool Carry(IEnumerable<StageEffect> effects)
    {
        bool any = false;
        foreach (var effect in effects)
        {
            Do(effect);
            // Between any two effects the process may end.
            EndWhereDrawn();
            any = true;
        }

        return any;
    }

    private void Do(StageEffect effect)
    {
        switch (effect)
        {
            case StageEffect.Look look:
                var snapshot = look.Cluster && !ClusterSilent() ? cluster.Observe() : null;
                // A virtual process never sleeps.
                look.Seen(snapshot, look.Request is { } request ? Place(request) : null, Now(), awakeSince: default);
                break;
            // Its checkpoints are nowhere to be seen but in what agents tell.
            case StageEffect.LookAtCheckpoints:
            case StageEffect.NodeFailed:
            case StageEffect.KeepEvidence:
                break;
            case StageEffect.NodesChecked nodes:
                tried = TriedNodes.Add(tried, nodes.Told.Sound, nodes.Told.Stage, nodes.Told.At);
                break;
            case StageEffect.Write write:
                Told.AddRange(write.Next.Outbox);
                var written = write.Next.Outbox.IsEmpty ? write.Next : write.Next with { Outbox = [] };
                Stages[written.Id] = written;
                write.Written(written);
                if (written.NewestIncident is { State: IncidentState.NeedsHuman } handed)
                {
                    Handed.Add((written.Id, handed.Number));
                }

                break;
            case StageEffect.CreatePods create:
                cluster.CreatePods(create.Gang);
                break;
            case StageEffect.EndPods end:
                end.Certain = end.Nodes.IsEmpty ? cluster.DeletePods(end.Gang) : cluster.DeletePods(end.Gang, [.. end.Nodes]);
                break;
            case StageEffect.Release release:
                book = book.Released(release.Gang, release.Nodes);
                break;
            default:
                throw new UnreachableException($"effect {effect}");
        }
    }

    private PlacementDecision? Place(GangRequest request)
    {
        if (request.InStead is { } gang)
        {
            if (book.Has(request) is { } has)
            {
                return has;
            }

            if (Refilling.Take(Question(Seen()), request) is { } taken)
            {
                book = book.Joined(taken.Grant);
                EndWhereDrawn();
                return taken;
            }

            return PlacementForesight.InStead(Question(Seen().Without(gang)), request);
        }

        if (book.HeldBy(request) is { } held)
        {
            return held;
        }

        book = book.Asked(request);
        var answer = Ask(Question(Seen()));
        book = book.Granted(answer.Placed);
        EndWhereDrawn();
        foreach (var preemption in answer.Preemptions)
        {
            EngineOf(preemption.Stage).Preempt(preemption);
        }

        return answer.Placed.FirstOrDefault(p => p.Grant.Stage == request.Stage) as PlacementDecision
            ?? answer.Pending.GetValueOrDefault(request.Stage);
    }

    /// <summary>All that wait ask at the same tick, and where nothing was placed since the first asked the answer is the same.</summary>
    private PlacementAnswer Ask(PlacementQuestion question)
    {
        if (asked is not { } before || before.Question != question)
        {
            asked = (question, deciders.Placement(question));
        }

        return asked.Value.Answer;
    }

    private PlacementQuestion Question(ClusterSnapshot seen) => new(seen, Held, Waiting, policy, clock());

    /// <summary>Nodes are the same ones for long, and are marked anew only once they are not.</summary>
    private ClusterSnapshot Seen()
    {
        var seen = cluster.Observe().With(policy, clock());
        if (seen.Nodes != marked.Of || tried != marked.Tried)
        {
            marked = (seen.Nodes, tried, seen.With(tried).Nodes);
        }

        return seen with { Nodes = marked.Marked };
    }

    private StageReport? ReportOf(StageId id) => Stages.ContainsKey(id) ? EngineOf(id).Report(Now()) : null;

    private StageEngine EngineOf(StageId id) => engines.TryGetValue(id, out var engine) ? engine
        : engines[id] = new StageEngine(Stages.GetValueOrDefault(id), Now(), deciders.Stage);

    private RunEngine RunEngineOf(string name) => runEngines.TryGetValue(name, out var engine) ? engine
        : runEngines[name] = new RunEngine(Runs.GetValueOrDefault(name), deciders.Run);

    private Instant Now() => Instant.OfOneClock(clock());

    private void EndWhereDrawn()
    {
        if (Crashes())
        {
            throw new ControlPlaneEndedException();
        }
    }
}
