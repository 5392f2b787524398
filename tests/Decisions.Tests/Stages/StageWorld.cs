using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
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
    private const int SaveEvery = 4;

    private readonly List<SimAgent> agents = [];
    private readonly HashSet<NodeId> notReady = [];
    private readonly ImmutableArray<NodeId> nodes = [new("node-0"), new("node-1"), new("node-2")];
    private readonly HashSet<string> refused = [];
    private readonly HashSet<long> spoilt = [];
    private ImmutableArray<GangGrant> held = [];
    private AgentBeat? lastBeat;
    private bool blind;
    private Stage disk = Stage.New(Wish(1, Intent.Train, null));
    private StageEngine engine;

    public StageWorld() => engine = new StageEngine(disk, Seen);

    public DateTimeOffset Now { get; private set; } = Epoch;

    public Instant Seen => Instant.OfOneClock(Now);

    public Stage Stage => disk;

    public Vitals Vitals => engine.Vitals;

    public List<Stage> History { get; } = [];

    /// <summary>Gangs that the cluster was told to end although nothing was wrong and nobody had asked for it.</summary>
    public List<string> Wrongs { get; } = [];

    /// <summary>Checkpoints that lie in the stage's folder, told or not.</summary>
    public List<CheckpointOnDisk> Disk { get; } = [];

    /// <summary>Of them, those that a rank would load.</summary>
    public IEnumerable<CheckpointMade> Whole => Disk.Select(c => c.Made).Where(c => !refused.Contains(c.Path));

    public IEnumerable<SimAgent> Live => agents.Where(a => a.Alive);

    public void Apply(Happening what)
    {
        Now += TimeSpan.FromMilliseconds(200);
        switch (what)
        {
            case Happening.Tick: Tick(act: true, write: true); break;
            case Happening.TickCrashingBeforeActions: Tick(act: false, write: true); Forget(); break;
            case Happening.TickCrashingBeforeWrite: Tick(act: false, write: false); Forget(); break;
            case Happening.ControlPlaneDies: Forget(); break;
            case Happening.Beat: Beat(); break;
            case Happening.BeatAgain when lastBeat is { } beat: Hear(beat); break;
            case Happening.LateBeat when lastBeat is { } beat: Hear(beat with { Sequence = beat.Sequence - 1 }); break;
            case Happening.KillRank: Live.FirstOrDefault()?.EndRank(137, ""); break;
            case Happening.Crash: Live.FirstOrDefault()?.EndRank(1, "ValueError"); break;
            case Happening.KillAgent: Live.FirstOrDefault()?.Die(); break;
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
            case Happening.TrainsUnheard: Live.ToList().ForEach(a => a.Train(Steps, SaveEvery, Now)); break;
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
            case StageEffect.NodeFailed:
                break;
            case StageEffect.CreatePods create:
                foreach (var node in create.Gang.Nodes.Where(n => !agents.Any(a => a.Gang == create.Gang.Id && a.Node == n)))
                {
                    agents.Add(new SimAgent(node, create.Gang.Id, Disk, spoilt));
                }

                break;
            case StageEffect.EndPods end:
                agents.Where(a => a.Gang == end.Gang).ToList().ForEach(a => a.Die());
                end.Certain = true;
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
        bool healthy =
            Live.Any(a => a.Gang == before.Phase.GangOrNull?.Id && a.Rank is { State: RankState.Training } r && r.Attempt == before.Attempt)
            && before.Phase is Phase.Running;
        bool asked = before.Wish.Round > before.Round || seen.Preemption?.Victim == before.Phase.GangOrNull?.Id || notReady.Count > 0;
        // A failure that the agent told of is true even when, by now, nothing of it can be seen.
        bool told = seen.Agents.Any(a => a.Ranks.Any(r => r.Attempt == before.Attempt && r.State == RankState.Exited));
        if (stops && healthy && !asked && !told && Seen.Since(Vitals.Since) < before.Policy.SilentFor
            && seen.Agents.All(a => seen.SilenceOf(a) < before.Policy.SilentFor))
        {
            Wrongs.Add($"a healthy gang was stopped: {next.Reason}");
        }
    }

    private void Forget() => engine = new StageEngine(disk, Seen);

    private void Beat()
    {
        foreach (var agent in Live.ToList())
        {
            agent.Train(Steps, SaveEvery, Now);
            var beat = agent.Beat(Stage.Id);
            lastBeat = beat;
            agent.Obey(Hear(beat), refused, Now);
        }
    }

    private void Want(Intent intent)
    {
        // A run does not take back a cancel.
        if (Stage.Wish.Intent != Intent.Cancel)
        {
            Want(Stage.Wish with { Intent = intent, Reason = $"a person wants {intent}" });
        }
    }

    private void Want(StageWish wish)
    {
        foreach (var effect in engine.Want(wish, Seen))
        {
            Do(effect);
        }
    }

    private WorkerOrder Hear(AgentBeat beat) => engine.Heartbeat(beat, Seen, _ => beat.Sequence).Reply.Order;

    private PlacementDecision Place(GangRequest request)
    {
        if (held.FirstOrDefault(h => h.Id == request.Id) is { } mine)
        {
            return new PlacementDecision.Placed(mine, "held already");
        }

        var answer = PlacementQueue.Decide(new(Snapshot(), held, [request], PlacementPolicy.Default, Now));
        held = held.AddRange(answer.Placed.Select(p => p.Grant));
        return answer.Placed.FirstOrDefault() as PlacementDecision ?? answer.Pending[request.Stage];
    }

    private ClusterSnapshot Snapshot() => new(
        [.. nodes.Select(n => new NodeSeen(n, notReady.Contains(n) ? NodeHealth.NotReady : NodeHealth.Ready, "", 1,
            ImmutableDictionary<string, string>.Empty))],
        [.. agents.Select(a => new PodSeen(a.Gang, a.Node, a.Phase, 1, a.Alive ? null : 137, ""))], Now);

    private static StageWish Wish(int round, Intent intent, long? from) =>
        new(new StageId("mini", "pretrain"), round, intent, "a person wants it",
        new StageWork("pretrain", "pretraining", Steps, Steps * 100, 1, 1, 100, "research", 3, null,
            new RecoveryPolicy { MaxRestarts = 5 }),
        new PipelineSpec(), null, null, from);
}
