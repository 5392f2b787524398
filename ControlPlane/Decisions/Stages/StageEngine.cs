using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Tracing;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// What a control plane does about one stage: it observes, decides, has the decision written, acts, and acknowledges what agents told.
/// Pure of I/O: what is to be done in the world it hands out as <see cref="StageEffect"/>s, one by one, and goes on with the answer.
/// The grain, the virtual control plane and the tests' world host this same code.
/// </summary>
/// <param name="written">As the disk has it. Null: nobody has asked for the stage yet.</param>
/// <param name="began">When this process began to listen; what only memory held before is gone.</param>
/// <param name="decide">Takes the decision; another than the planner's only where a policy is simulated or a test breaks it.</param>
public sealed partial class StageEngine(Stage? written, Instant began, Func<Stage, Observation, DateTimeOffset, Decision>? decide = null)
{
    /// <summary>Turns of one tick; a stage that still moves after so many goes on in the next.</summary>
    private const int TurnsPerTick = 8;

    /// <summary>Whoever wants the gang away says so every ten seconds; after three of them nobody does any more.</summary>
    private static readonly TimeSpan WantedFor = TimeSpan.FromSeconds(30);

    private readonly Func<Stage, Observation, DateTimeOffset, Decision> decide = decide ?? StagePlanner.Decide;
    private readonly Dictionary<NodeId, Heard> heard = [];
    private readonly RankFaults faults = new();
    private readonly StageTracing tracing = new();
    private readonly LossWatch losses = new(written?.LossMemories ?? [], written?.Attempt ?? 0);
    private readonly PaceWatch paces = new();
    private bool rejoining = written?.Phase is Phase.Running or Phase.Checking;
    private GangId? gone;
    private (GangId Gang, ImmutableHashSet<NodeId> Nodes)? left;
    private Preemption? preemption;
    private Instant? preemptionHeard;
    private bool deciding;
    private Instant? undecided;
    private Known? known;

    /// <summary>As it is written. Never ahead of the disk, so that no order is given that a crash could forget.</summary>
    public Stage? Stage { get; private set; } = written;

    public Vitals Vitals { get; private set; } = Vitals.Fresh(began);

    /// <summary>The newest decision's, with the numbers of the moment.</summary>
    public string Reason { get; private set; } = written?.Reason ?? "";

    /// <summary>Why the host could not do the last that was handed to it for the world; empty: it could.</summary>
    public string Trouble { get; set; } = "";

    /// <summary>The cluster's: by how much its clock is faster than ours.</summary>
    public double TimeFactor { get; init; } = 1;

    /// <summary>When the newest decision was taken. Null: none was since this process began.</summary>
    public DateTimeOffset? DecidedAt { get; private set; }

    /// <summary>What the newest decision saw. Null: none was taken since this process began.</summary>
    public Observation? LookedAt { get; private set; }

    /// <summary>Another gang needs the nodes, or they are drained.</summary>
    public void Preempt(Preemption asked) => (preemption, preemptionHeard) = (asked, null);

    /// <summary>A drill's fault: told to the rank's agent with the next beats.</summary>
    public void Inject(RankFault fault, Instant now) => faults.Add(fault, now);

    /// <summary>Asks the ranks to record their next steps. Null: nobody has asked for the stage.</summary>
    public TraceView? Record(int steps, TimeSpan within, Instant now) => Stage is null ? null
        : tracing.Ask(Stage, steps, within, Report(now)?.View.Step ?? 0, now);

    /// <summary>How far the newest recording is. Null: none since this process began.</summary>
    public TraceView? Recording(Instant now) => Stage is null ? null : tracing.View(Stage, now);

    /// <summary>A recording that is complete and that the ledger does not have yet.</summary>
    public StageTrace? TraceToKeep => tracing.ToKeep;

    public void TraceKept(long id) => tracing.Kept(id);

    /// <summary>Takes up what the run wants. Nothing is asked for where it says nothing new.</summary>
    public IEnumerable<StageEffect> Want(StageWish wish) => Stage is null || StageWishes.Differs(Stage.Wish, wish)
        ? Persist(new StageEffect.Write(Stage is null ? Stage.New(wish) : Stage with { Wish = wish })) : [];

    /// <summary>Turns until nothing moves any more.</summary>
    public IEnumerable<StageEffect> Tick()
    {
        for (int turn = 0; turn < TurnsPerTick && Stage is not null; turn++)
        {
            bool acted = false;
            foreach (var effect in Turn())
            {
                yield return effect;
                acted |= effect is StageEffect.Release or StageEffect.Write;
            }

            if (!acted)
            {
                yield break;
            }
        }
    }

    /// <summary>
    /// One turn. 1: look. 2: decide; where a node is lost ask whether there is another, and where the stage moves look at its
    /// checkpoints, and decide again. 3: have what is known of a failed attempt kept, then the stage written; a newer record wins.
    /// 4: take what was heard before the look for acknowledged. 5: act.
    /// </summary>
    public IEnumerable<StageEffect> Turn()
    {
        if (Stage is not { } stage)
        {
            yield break;
        }

        deciding = true;
        var look = new StageEffect.Look(stage.Phase.GangOrNull is not null, StagePlanner.RequestFor(stage));
        yield return look;
        var seen = Observe(stage, look);
        // Of most agents nothing is left to be decided on.
        var told = heard.Where(h => h.Value.Decided < h.Value.Sequence).ToList();
        var decision = decide(stage, seen, seen.Now.At);
        if (StageReforming.AsksForRoom(stage, decision.Next, seen) is { } instead)
        {
            var room = new StageEffect.Look(cluster: false, instead);
            yield return room;
            seen = LookedAt = seen with { Placement = room.Answer?.Placement };
            decision = decide(stage, seen, seen.Now.At);
        }

        if (StagePlanner.WantsLook(stage, decision.Next))
        {
            var folder = new StageEffect.LookAtCheckpoints(stage.Id);
            yield return folder;
            seen = seen with { Disk = folder.Found };
            decision = decide(stage, seen, seen.Now.At);
        }

        if (decision.Keep is { } evidence)
        {
            yield return new StageEffect.KeepEvidence(evidence);
        }

        decision = decision with { Next = StageIncidents.WithBefore(stage, decision.Next) };
        var failed = CountedFailure.Of(stage, decision.Next);
        if (!ReferenceEquals(decision.Next, stage))
        {
            var write = new StageEffect.Write(decision.Next);
            foreach (var effect in Persist(write))
            {
                yield return effect;
            }

            if (write.Lost)
            {
                yield break;
            }
        }

        Decided(decision, ReferenceEquals(decision.Next, stage) ? seen with { News = seen.News with { SlowSeconds = 0 } } : seen, told);
        if (failed is not null)
        {
            yield return new StageEffect.NodeFailed(failed);
        }

        if (StageCheck.Told(stage, decision.Next) is { } nodes)
        {
            yield return new StageEffect.NodesChecked(nodes);
        }

        foreach (var effect in decision.Actions.SelectMany(Act))
        {
            yield return effect;
        }
    }

    /// <summary>What people and the run may see of the stage. Null: nobody has asked for it.</summary>
    public StageReport? Report(Instant now) =>
        Stage is null ? null : StageViews.Report(Stage, ReasonWithTrouble, ObserveAt(Stage, LookedAt?.Cluster, now) with
        {
            Placement = LookedAt?.Placement,
        }, DecidedAt);

    /// <summary>Every rank of its gang: a report has the odd ones of many alone.</summary>
    public ImmutableArray<RankView> Ranks(Instant now) => Stage is null ? [] : StageViews.Ranks(Stage, ObserveAt(Stage, null, now));

    private string ReasonWithTrouble => Trouble.Length == 0 ? Reason : $"{Reason}; the last try failed: {Trouble}";

    /// <summary>What a stage that trains tells placement of its pace. Null: nothing is measured.</summary>
    public GangPace? Pace(Instant now) => Stage is null ? null : StagePace.Of(Stage, ObserveAt(Stage, null, now));

    private Observation ObserveAt(Stage stage, ClusterSnapshot? cluster, Instant now) =>
        Vitals.Observe(Of(stage).Watched, cluster, now) with { TimeFactor = TimeFactor };

    private Observation Observe(Stage stage, StageEffect.Look look)
    {
        var (cluster, placement, now, awakeSince) = look.Answer ?? throw new InvalidOperationException("The host did not look.");
        var slow = paces.Look(Of(stage).Watched, now);
        Vitals = Vitals.NotBefore(awakeSince).Slowed(paces.TakeHeldUp());
        preemptionHeard ??= now;
        if (preemption is { ByPerson: false } && StageHolding.Of(stage, now.At) is not null && now.Since(preemptionHeard.Value) > WantedFor)
        {
            // What is withheld while a person holds the run is not done afterwards for a gang that has found other nodes.
            preemption = null;
        }

        return LookedAt = ObserveAt(stage, cluster, now) with
        {
            Placement = placement,
            GoneGang = gone,
            Left = left,
            Preemption = preemption,
            LossMemories = losses.Memories,
            Slow = slow,
        };
    }

    private IEnumerable<StageEffect> Persist(StageEffect.Write write)
    {
        deciding = true;
        yield return write;
        if (!write.Answered)
        {
            throw new InvalidOperationException("The host did not write.");
        }

        (deciding, undecided) = (false, null);
        Stage = write.OnDisk;
        Reason = write.Lost ? Stage?.Reason ?? "" : Reason;
    }

    private void Decided(Decision decision, Observation seen, List<KeyValuePair<NodeId, Heard>> told)
    {
        (deciding, undecided) = (false, null);
        (DecidedAt, Reason) = (seen.Now.At, decision.Reason);
        Vitals = Vitals.Written(seen.News, Of(Stage!).Watched, seen.Now);
        foreach (var (node, before) in told)
        {
            var now = heard[node];
            heard[node] = now.Agent == before.Agent ? now with { Decided = Math.Max(now.Decided, before.Sequence) } : now;
        }
    }

    private IEnumerable<StageEffect> Act(StageAction action)
    {
        switch (action)
        {
            case StageAction.CreatePods create:
                // Who comes back to a gang that it left is let go of anew.
                left = left is { } gave && gave.Gang == create.Gang.Id ? (gave.Gang, gave.Nodes.Except(create.Gang.Nodes)) : left;
                yield return new StageEffect.CreatePods(create.Gang);
                break;
            case StageAction.EndGang end:
                var pods = new StageEffect.EndPods(end.Gang, end.Reason);
                yield return pods;
                if (pods.Certain)
                {
                    yield return new StageEffect.Release(end.Gang);
                    gone = end.Gang;
                }

                break;
            case StageAction.LetGo letGo:
                var some = new StageEffect.EndPods(letGo.Gang, letGo.Reason) { Nodes = letGo.Nodes };
                yield return some;
                if (some.Certain)
                {
                    yield return new StageEffect.Release(letGo.Gang) { Nodes = letGo.Nodes };
                    Vitals = Vitals.Without(letGo.Nodes);
                    left = (letGo.Gang, (left is { } before && before.Gang == letGo.Gang ? before.Nodes : []).Union(letGo.Nodes));
                }

                break;
            default:
                throw new UnreachableException($"action {action}");
        }
    }
}
