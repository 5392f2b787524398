using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>What can happen to a stage. The numbers choose whom it happens to.</summary>
public enum Happening
{
    Tick, TickCrashingBeforeActions, TickCrashingBeforeWrite, ControlPlaneDies, Beat, BeatAgain, LateBeat, KillRank, Crash, KillAgent,
    NodeNotReady,
    NodeReady, Pause, Resume, Cancel, Retry, MinutePasses, ClusterBlind, ClusterSees, RefuseCheckpoint, Preempt, ClusterStops,
    TrainsUnheard, RetryFromNewest, SpoilNextBatch,
}

/// <summary>
/// A stage, its cluster of three nodes and its agents, driven by happenings and nothing else. Agents obey <see cref="WorkerOrders"/>;
/// the record survives what the memory does not.
/// </summary>
internal sealed class StageWorld
{
    public static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private const int Steps = 30;

    private readonly Dictionary<GangId, SimGang> gangs = [];
    private readonly (int Nodes, int Slots, bool Checks) shape;
    private int turn;
    private readonly HashSet<NodeId> notReady = [];
    private readonly ImmutableArray<NodeId> nodes = [new("node-0"), new("node-1"), new("node-2")];
    private readonly HashSet<string> refused = [];
    private readonly HashSet<long> spoilt = [];
    private ImmutableArray<GangGrant> held = [];
    private ImmutableArray<TriedNode> tried = [];
    private AgentBeat? lastBeat;
    private bool blind;
    private bool replayed;
    private Stage disk;
    private StageEngine engine;

    /// <param name="nodes">That the gang takes, of three.</param>
    /// <param name="slots">Ranks on each.</param>
    /// <param name="checks">The stage counts as long, so that its first steps check new nodes.</param>
    public StageWorld(int nodes = 1, int slots = 1, bool checks = false)
    {
        shape = (nodes, slots, checks);
        disk = Stage.New(Wish(1, Intent.Train, null));
        engine = new StageEngine(disk, Seen);
    }

    public DateTimeOffset Now { get; private set; } = Epoch;

    public Instant Seen => Instant.OfOneClock(Now);

    public Stage Stage => disk;

    public Vitals Vitals => engine.Vitals;

    public List<Stage> History { get; } = [];

    /// <summary>Gangs that the cluster was told to end although nothing was wrong and nobody had asked for it.</summary>
    public List<string> Wrongs { get; } = [];

    /// <summary>What the first steps of gangs said of their nodes.</summary>
    public List<CheckedNodes> Checked { get; } = [];

    /// <summary>What the newest beat was answered of why nobody decides.</summary>
    public string Undecided { get; private set; } = "";

    /// <summary>The cluster cannot say yet whether what it was told to end has ended.</summary>
    public bool Uncertain { get; set; }

    /// <summary>Who holds which nodes.</summary>
    public ImmutableArray<GangGrant> Held => held;

    /// <summary>Of failed attempts, in the order in which it was kept.</summary>
    public List<Evidence> Kept { get; } = [];

    /// <summary>Checkpoints that lie in the stage's folder, told or not.</summary>
    public List<CheckpointOnDisk> Disk { get; } = [];

    /// <summary>Of them, those that a rank would load.</summary>
    public IEnumerable<CheckpointMade> Whole => Disk.Select(c => c.Made).Where(c => !refused.Contains(c.Path));

    public IEnumerable<SimAgent> Live => Agents.Where(a => a.Alive);

    /// <summary>Gangs that make steps, with the attempt.</summary>
    public IEnumerable<(GangId Gang, int Attempt)> Training =>
        gangs.Where(g => g.Value.Training is not null).Select(g => (g.Key, g.Value.Training!.Value));

    private IEnumerable<SimAgent> Agents => gangs.Values.SelectMany(g => g.Agents);

    /// <summary>Whom it happens to.</summary>
    private SimAgent? Anybody => Live.ElementAtOrDefault(turn % Math.Max(1, Live.Count()));

    public void Apply(Happening what)
    {
        Now += TimeSpan.FromMilliseconds(200);
        turn++;
        switch (what)
        {
            case Happening.Tick: Tick(act: true, write: true); break;
            case Happening.TickCrashingBeforeActions: Tick(act: false, write: true); Forget(); break;
            case Happening.TickCrashingBeforeWrite: Tick(act: false, write: false); Forget(); break;
            case Happening.ControlPlaneDies: Forget(); break;
            case Happening.Beat: Beat(); break;
            case Happening.BeatAgain when lastBeat is { } beat: Replay(beat); break;
            case Happening.LateBeat when lastBeat is { } beat: Replay(beat with { Sequence = beat.Sequence - 1 }); break;
            case Happening.KillRank: Anybody?.EndRank(137, "", turn); break;
            // Words that say nothing of why: what its program itself is to blame for is not launched again.
            case Happening.Crash: Anybody?.EndRank(1, "it broke", turn); break;
            case Happening.KillAgent: Anybody?.Die(); break;
            case Happening.NodeNotReady: notReady.Add(nodes[0]); break;
            case Happening.NodeReady: notReady.Clear(); break;
            case Happening.Pause: Want(Intent.Pause); break;
            case Happening.Resume: Want(Intent.Train); break;
            case Happening.Cancel: Want(Intent.Cancel); break;
            case Happening.Retry:
                long? from = Stage.Checkpoints.FirstOrDefault(c => c.Usable)?.Made.Step;
                RetryFrom(from);
                break;
            case Happening.RetryFromNewest: RetryFrom(null); break;
            case Happening.TrainsUnheard: Train(); break;
            case Happening.MinutePasses: Now += TimeSpan.FromMinutes(1); Beat(); break;
            case Happening.ClusterBlind: blind = true; break;
            case Happening.ClusterSees: blind = false; break;
            case Happening.RefuseCheckpoint
                when CheckpointChoice.Newest(Stage.Checkpoints) is { } newest:
                refused.Add(newest.Made.Path); break;
            case Happening.SpoilNextBatch when Live.FirstOrDefault() is { Rank: { } rank }:
                spoilt.Add(BatchOrder.BatchOf(rank.Step + 1, Stage.LeftOut.Select(b => b.Batch)));
                break;
            case Happening.ClusterStops: Live.ToList().ForEach(a => a.StopWithCluster()); Forget(); break;
            case Happening.Preempt when Stage.Phase.GangOrNull is { } gang:
                engine.Preempt(
                    new Preemption(Stage.Id, gang.Gang, new StageId("other", "stage"), TimeSpan.FromSeconds(5),
                        "preempted for other/stage")); break;
        }
    }

    /// <summary>The database is put back from a backup; disk, cluster and agents are what they have become since.</summary>
    public void PutBack(Stage older)
    {
        disk = JsonSerializer.Deserialize<Stage>(JsonSerializer.Serialize(StagePutBack.Of(older, Epoch, Now)))!;
        held = [.. held.Where(h => h.Id == disk.Phase.GangOrNull?.Id)];
        Forget();
    }

    /// <summary>A disk that loses its blocks.</summary>
    public void DamageAll() => refused.UnionWith(Disk.Select(c => c.Made.Path));

    /// <summary>A person begins the stage again.</summary>
    public void RetryFrom(long? step) => Want(Wish(Stage.Wish.Round + 1, Intent.Train, step));

    /// <summary>One turn of the engine, as a grain makes it. What the disk has is what JSON gives back.</summary>
    /// <param name="act">False: the process ends before the first action.</param>
    /// <param name="write">False: it ends before the record is written.</param>
    public void Tick(bool act, bool write)
    {
        foreach (var effect in engine.Turn())
        {
            if ((effect is StageEffect.Write && !write) || (effect is StageEffect.CreatePods or StageEffect.EndPods && !act))
            {
                return;
            }

            Do(effect);
        }

        if (string.IsNullOrWhiteSpace(engine.Reason))
        {
            Wrongs.Add($"no reason in {Stage.Phase}");
        }

        History.Add(Stage);
    }

    /// <summary>A tick whose host fails at the first effect of a kind, and never comes back from it.</summary>
    /// <returns>False: it asked for none of the kind.</returns>
    public bool TickFailingAt(Func<StageEffect, bool> kind)
    {
        foreach (var effect in engine.Turn())
        {
            if (kind(effect))
            {
                return true;
            }

            Do(effect);
        }

        return false;
    }

    private void Do(StageEffect effect)
    {
        switch (effect)
        {
            case StageEffect.Look look:
                look.Seen(blind || !look.Cluster ? null : Snapshot(), look.Request is { } request ? Place(request) : null, Seen,
                    awakeSince: default);
                break;
            case StageEffect.LookAtCheckpoints folder:
                folder.Found = new StageFolder("disk", [.. Disk.OrderBy(c => c.Made.Step)]);
                break;
            case StageEffect.Write write:
                if (engine.LookedAt is { } seen)
                {
                    NoteWrongs(Stage, write.Next, seen);
                }

                disk = JsonSerializer.Deserialize<Stage>(JsonSerializer.Serialize(write.Next))!;
                History.Add(disk);
                write.Written(disk);
                break;
            case StageEffect.NodeFailed: break;
            case StageEffect.NodesChecked { Told: var told }:
                Checked.Add(told);
                tried = TriedNodes.Add(tried, told.Sound, told.Stage, told.At);
                break;
            case StageEffect.KeepEvidence keep:
                Kept.Add(keep.Evidence);
                break;
            case StageEffect.CreatePods create:
                var gang = gangs.GetValueOrDefault(create.Gang.Id)
                    ?? (gangs[create.Gang.Id] = new SimGang(create.Gang.Nodes.Length, Disk, refused, spoilt));
                foreach (var node in create.Gang.Nodes.Where(n => gang.Agents.TrueForAll(a => a.Node != n)))
                {
                    gang.Agents.Add(new SimAgent(gang, node, create.Gang.Id, () => Now));
                }

                break;
            case StageEffect.EndPods end:
                foreach (var agent in gangs.GetValueOrDefault(end.Gang)?.Agents ?? [])
                {
                    if (end.Nodes.IsEmpty || end.Nodes.Contains(agent.Node))
                    {
                        agent.Die();
                    }
                }

                end.Certain = !Uncertain;
                if (end.Certain && !end.Nodes.IsEmpty)
                {
                    gangs.GetValueOrDefault(end.Gang)?.Agents.RemoveAll(a => end.Nodes.Contains(a.Node));
                }

                break;
            case StageEffect.Release { Nodes: [_, ..] } some:
                held = [.. held.Select(h => h.Id == some.Gang ? h with { Nodes = h.Nodes.RemoveRange(some.Nodes) } : h)];
                break;
            case StageEffect.Release release:
                held = held.RemoveAll(h => h.Id == release.Gang);
                break;
            default:
                throw new System.Diagnostics.UnreachableException($"effect {effect}");
        }
    }

    /// <summary>
    /// A gang may be stopped because somebody asked, something failed, or it is done; never for silence within the grace.
    /// </summary>
    private void NoteWrongs(Stage before, Stage next, Observation seen)
    {
        bool stops = before.Phase is Phase.Running
            && next.Phase is Phase.Stopping { Then: Ending.Relaunch or Ending.Fail } or Phase.Restarting or Phase.BackingOff;
        bool healthy = before.Phase is Phase.Running running && Training.Contains((running.Gang.Id, before.Attempt));
        bool asked = before.Wish.Round > before.Round || seen.Preemption?.Victim == before.Phase.GangOrNull?.Id || notReady.Count > 0;
        // A failure that the agent told of is true even when, by now, nothing of it can be seen.
        bool told = seen.Agents.Any(a => a.Ranks.Any(r => r.Attempt == before.Attempt && r.State == RankState.Exited));
        if (stops && healthy && !asked && !told && Seen.Since(Vitals.Since) < before.Policy.SilentFor
            && seen.Agents.All(a => seen.SilenceOf(a) < before.Policy.SilentFor))
        {
            Wrongs.Add($"a healthy gang was stopped: {next.Reason}");
        }

        if (!replayed && CountedFailure.Of(before, next) is { Cause: FailureCause.RankExited } blamed)
        {
            NoteBlame(before, blamed, seen);
        }
    }

    /// <summary>Of all exits that were told the first is to blame, in whatever order they were told.</summary>
    private void NoteBlame(Stage before, NodeFailure blamed, Observation seen)
    {
        var told = seen.Agents.SelectMany(a => a.Ranks.Select(r => (a.Node, Rank: r)))
            .Where(x => x.Rank.Attempt == before.Attempt && x.Rank.State == RankState.Exited)
            .Select(x => (x.Node, x.Rank.Rank)).ToHashSet();
        var ended = gangs[before.Phase.GangOrNull!.Id].Agents.SelectMany(a => a.Ended.Select(e => (a.Node, e.Attempt, e.Rank, e.At)))
            .Where(e => e.Attempt == before.Attempt && told.Contains((e.Node, e.Rank))).ToList();
        if (ended.Count > 0 && !ended.Any(e => e.Node == blamed.Node && e.At == ended.Min(other => other.At)))
        {
            Wrongs.Add($"{blamed.Node} is blamed, and a rank elsewhere had ended before: {string.Join(", ", ended)}");
        }
    }

    private void Forget() => (engine, replayed) = (new StageEngine(disk, Seen), false);

    private void Train() => gangs.Values.ToList().ForEach(g => g.Train(Now));

    /// <summary>A beat of each agent, each time another one first; of several one is lost now and then.</summary>
    private void Beat()
    {
        Train();
        var live = Live.ToList();
        int first = turn % Math.Max(1, live.Count), lost = live.Count > 1 && turn % 5 == 0 ? 1 : 0;
        foreach (var agent in live.Skip(first).Concat(live.Take(first)).Skip(lost))
        {
            var gang = gangs[agent.Gang];
            var beat = agent.Beat(gang.First == agent ? gang.Sample : null);
            lastBeat = beat;
            agent.Obey(Hear(beat));
        }
    }

    private void Replay(AgentBeat beat)
    {
        replayed = true;
        Hear(beat);
    }

    private void Want(Intent intent)
    {
        // A run does not take back a cancel.
        if (Stage.Wish.Intent != Intent.Cancel)
        {
            Want(Stage.Wish with { Intent = intent, Reason = $"a person wants {intent}" });
        }
    }

    /// <summary>A person's hand. Null: none was laid on it.</summary>
    public void Hand(PersonsHold? hold) => Want(Stage.Wish with { Held = hold });

    public void Undo(int incident) => Want(Stage.Wish with
    {
        Undo = new UndoWish((Stage.Wish.Undo?.Asked ?? 0) + 1, Stage.Id.Stage, incident, "ann", "it was wrong"),
    });

    public StageReport Report => engine.Report(Seen)!;

    private void Want(StageWish wish)
    {
        foreach (var effect in engine.Want(wish))
        {
            Do(effect);
        }
    }

    private WorkerOrder Hear(AgentBeat beat)
    {
        var reply = engine.Heartbeat(beat, Seen, _ => beat.Sequence).Reply;
        Undecided = reply.Undecided;
        return reply.Order;
    }

    private PlacementDecision Place(GangRequest request)
    {
        if (request.InStead is not null)
        {
            var (book, question) = (new GangBook(held, [], []), new PlacementQuestion(Snapshot(), held, [], PlacementPolicy.Default, Now));
            if (book.Has(request) is { } has)
            {
                return has;
            }

            if (Refilling.Take(question, request) is { } taken)
            {
                held = book.Joined(taken.Grant).Held;
                return taken;
            }

            return PlacementForesight.InStead(question, request);
        }

        if (held.FirstOrDefault(h => h.Id == request.Id) is { } mine)
        {
            return new PlacementDecision.Placed(mine, "held already");
        }

        tried = TriedNodes.Follow(tried, Snapshot(), held);
        var answer = PlacementQueue.Decide(new(Snapshot().With(tried), held, [request], PlacementPolicy.Default, Now));
        held = held.AddRange(answer.Placed.Select(p => p.Grant));
        return answer.Placed.FirstOrDefault() as PlacementDecision ?? answer.Pending[request.Stage];
    }

    private ClusterSnapshot Snapshot() => new(
        [.. nodes.Select(n => new NodeSeen(n, notReady.Contains(n) ? NodeHealth.NotReady : NodeHealth.Ready, "", shape.Slots,
            ImmutableDictionary<string, string>.Empty))],
        [.. Agents.Select(a => new PodSeen(a.Gang, a.Node, a.Phase, 1, a.Alive ? null : 137, ""))], Now);

    private StageWish Wish(int round, Intent intent, long? from) => new(new StageId("mini", "pretrain"), round, intent, "a person wants it",
        new StageWork("pretrain", "pretraining", Steps, Steps * 100, shape.Nodes, shape.Slots, 100, "research", 3, null,
            new RecoveryPolicy { MaxRestarts = 5, CheckFrom = shape.Checks ? TimeSpan.Zero : TimeSpan.FromHours(1) }),
        new PipelineSpec(), null, null, from);
}
