using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using Orleans.Storage;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Observe, decide, write, act. Heartbeats only touch memory; what they bring is decided on in the tick they ask for.</summary>
internal sealed partial class StageGrain(
    [PersistentState("stage")] IPersistentState<StageRecord> state, ITrainingCluster cluster, Ledger ledger, SteadyClock clock,
    ILogger<StageGrain> log) : Grain, IStageGrain, IRemindable
{
    /// <summary>Turns of one tick; a stage that still moves after so many goes on in the next.</summary>
    private const int TurnsPerTick = 8;

    private static readonly TimeSpan PaceEvery = TimeSpan.FromSeconds(5);

    private readonly Dictionary<NodeId, Acknowledgements> acknowledgements = [];

    /// <summary>As it is written. Never ahead of the disk, so that no order is given that a crash could forget.</summary>
    private Stage? stage;
    private Vitals vitals = null!;
    private string reason = "";
    private DateTimeOffset? decidedAt;
    private bool rejoining;
    private GangId? goneGang;
    private int outboxSent;
    private Preemption? preemption;
    private PlacementDecision? lastPlacement;
    private Instant? paceTold;
    private Instant? writing;
    private ClusterSnapshot? lastCluster;
    private ImmutableArray<StageCheckpoint> recorded = [];
    private IGrainTimer? timer;

    private StageId Id => StageId.Parse(this.GetPrimaryKeyString());

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        vitals = Vitals.Fresh(clock.Now);
        TakeFromDisk();
        rejoining = stage?.Phase is Phase.Running;
        if (stage is { Phase.Terminal: true })
        {
            // A crash may have come between its last write and what the ledger was told.
            AskForTick();
        }

        return stage is { Phase.Terminal: false } ? KeepTicking() : Task.CompletedTask;
    }

    public async Task<StageReport> Want(StageWish wish, CancellationToken cancellation)
    {
        if (stage is null || StageWishes.Differs(stage.Wish, wish))
        {
            if (await TrySave(stage is null ? Stage.New(wish) : stage with { Wish = wish }))
            {
                await KeepTicking();
                await Turn(cancellation);
            }
        }

        return Report() ?? throw new InvalidOperationException($"The wish for {Id} met a newer record; it is read again and asked again.");
    }

    public Task<WorkerReply> Register(AgentRegistration registration)
    {
        if (stage is { } known && AgentFence.Refusal(
            vitals, known.Watched, registration.Node, registration.AgentId, registration.Attempt, registration.Gang, clock.Now) is { } refusal)
        {
            return Task.FromResult(new WorkerReply(new WorkerOrder.Stop(refusal, null), WorkerOrders.BeatEvery, 0));
        }

        // Nothing to decide on yet: the first beat brings what the agent could not say before.
        vitals = vitals.Take(registration, clock.Now);
        WorkerOrder order = stage is null ? Unknown() : WorkerOrders.For(stage, registration.Node, registration.Attempt, registration.Ranks);
        return Task.FromResult(new WorkerReply(order, WorkerOrders.BeatSoon, 0) { Undecided = Undecided() });
    }

    public Task<WorkerReply> Heartbeat(AgentBeat beat)
    {
        if (stage is null)
        {
            return Task.FromResult(new WorkerReply(Unknown(), WorkerOrders.BeatEvery, 0));
        }

        if (AgentFence.Refusal(vitals, stage.Watched, beat.Node, beat.AgentId, beat.Attempt, beat.Gang, clock.Now) is { } refusal)
        {
            return Task.FromResult(new WorkerReply(new WorkerOrder.Stop(refusal, null), WorkerOrders.BeatEvery, 0));
        }

        beat = AgentFence.Within(beat, stage.Watched);
        bool news = Beats.HasNews(beat, stage.Watched, vitals);
        vitals = vitals.Take(beat, stage.Watched, rejoining && !beat.Ranks.IsEmpty, clock.Now);
        rejoining &= beat.Ranks.IsEmpty;
        var taken = AcknowledgementsOf(beat.Node);
        taken.Take(beat, stage.Wish.Pipeline, ledger);
        if (news)
        {
            AskForTick();
        }
        else if (vitals.News.IsEmpty)
        {
            // Nothing in it has to be written into the stage.
            taken.Decided(beat.AgentId, beat.Sequence);
        }

        var order = WorkerOrders.For(stage, beat.Node, beat.Attempt, beat.Ranks);
        bool soon = news || order is not WorkerOrder.Continue || stage.Phase is Phase.Starting or Phase.Restarting;
        return Task.FromResult(new WorkerReply(order, soon ? WorkerOrders.BeatSoon : WorkerOrders.BeatEvery, taken.Acknowledged) { Undecided = Undecided() });
    }

    public Task Preempt(Preemption preemption)
    {
        this.preemption = preemption;
        AskForTick();
        return Task.CompletedTask;
    }

    public Task<StageReport?> Describe() => Task.FromResult(Report());

    public Task Tick() => Turn(CancellationToken.None);

    public Task ReceiveReminder(string reminderName, TickStatus status) => Turn(CancellationToken.None);

    private async Task Turn(CancellationToken cancellation)
    {
        try
        {
            for (int turn = 0; turn < TurnsPerTick && stage is { } before; turn++)
            {
                if (!await Once(cancellation) && ReferenceEquals(stage, before))
                {
                    break;
                }
            }

            await TellLedger(cancellation);
            await TellPace();
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            // The one place that catches all: what was not done is done by the next tick.
            LogTickFailed(failed, Id);
        }

        if (Report() is { } report)
        {
            await GrainFactory.GetGrain<IRunGrain>(Id.Run).StageSeen(report);
        }

        if (stage is { Phase.Terminal: true })
        {
            await (Untold ? KeepTicking() : StopTicking());
        }
    }

    /// <summary>Observe, decide, write, act. True: something changed that the next turn should see.</summary>
    private async Task<bool> Once(CancellationToken cancellation)
    {
        var seen = await Observe(stage!, cancellation);
        var heard = acknowledgements.Values.Select(a => (Of: a, a.AgentId, a.Heard)).ToList();
        lastPlacement = seen.Placement;
        var decision = StagePlanner.Decide(stage!, seen, seen.Now.At);
        if (StagePlanner.WantsLook(stage!, decision.Next))
        {
            seen = seen with { Disk = await cluster.LookAtCheckpoints(Id, cancellation) };
            decision = StagePlanner.Decide(stage!, seen, seen.Now.At);
        }

        var failed = CountedFailure.Of(stage!, decision.Next);
        bool writes = !ReferenceEquals(decision.Next, stage);
        if (writes && !await TrySave(decision.Next))
        {
            return true;
        }

        if (failed is not null)
        {
            await ClusterOf().NodeFailed(failed);
        }

        decidedAt = seen.Now.At;
        vitals = vitals.Written(seen.News, stage!.Watched, seen.Now);
        heard.ForEach(h => h.Of.Decided(h.AgentId, h.Heard));
        if (decision.Reason != reason)
        {
            reason = decision.Reason;
            LogReason(Id, StageViews.NameOf(stage!.Phase), reason);
        }

        bool acted = false;
        foreach (var action in decision.Actions)
        {
            acted |= await Act(action, cancellation);
        }

        return writes || acted;
    }

    private async Task<Observation> Observe(Stage current, CancellationToken cancellation)
    {
        var snapshot = current.Phase.GangOrNull is null ? null : await SnapshotOrNull(cancellation);
        var placement = StagePlanner.RequestFor(current) is { } request
            ? await ClusterOf().Request(request, cancellation) : null;
        lastCluster = snapshot;
        var awake = clock.Look();
        vitals = vitals.NotBefore(awake.AwakeSince);
        return vitals.Observe(current.Watched, snapshot, awake.Looked) with { Placement = placement, GoneGang = goneGang, Preemption = preemption };
    }

    private async Task<ClusterSnapshot?> SnapshotOrNull(CancellationToken cancellation)
    {
        try
        {
            return await cluster.Observe(cancellation);
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            // A cluster that cannot be asked is unknown, which the planner knows how to wait for.
            LogClusterUnknown(failed, Id);
            return null;
        }
    }

    private async Task<bool> Act(StageAction action, CancellationToken cancellation)
    {
        switch (action)
        {
            case StageAction.CreatePods create:
                await cluster.CreatePods(create.Gang, cancellation);
                return false;
            case StageAction.EndGang end:
                if (!await cluster.DeletePods(end.Gang, end.Reason, cancellation))
                {
                    return false;
                }

                await ClusterOf().Release(end.Gang, cancellation);
                goneGang = end.Gang;
                return true;
            default:
                throw new System.Diagnostics.UnreachableException($"action {action}");
        }
    }

    /// <summary>False: somebody wrote a newer record; it is read, and what was decided counts for nothing.</summary>
    private async Task<bool> TrySave(Stage next)
    {
        var trimmed = next with { Outbox = next.Outbox.RemoveRange(0, outboxSent) };
        bool written = false;
        writing ??= clock.Now;
        state.State = new StageRecord { Value = trimmed };
        try
        {
            await state.WriteStateAsync();
            (written, writing) = (true, null);
        }
        catch (InconsistentStateException conflict)
        {
            LogConflict(conflict, Id);
            writing = null;
            await state.ReadStateAsync();
            TakeFromDisk();
            return false;
        }
        finally
        {
            // Not written: memory goes back to what the disk has.
            state.State = written ? state.State : new StageRecord { Value = stage };
        }

        (stage, outboxSent) = (trimmed, 0);
        return true;
    }

    private void TakeFromDisk() => (stage, outboxSent, reason) = (state.State.Value, 0, state.State.Value?.Reason ?? "");

    /// <summary>A database that is away at a stage's end hears of it when it is back.</summary>
    private bool Untold => stage is { } known && (outboxSent < known.Outbox.Length || known.Checkpoints.Except(recorded).Any());

    private async Task TellLedger(CancellationToken cancellation)
    {
        if (stage is not { } told)
        {
            return;
        }

        if (outboxSent < told.Outbox.Length)
        {
            await ledger.AppendEvents(told.Outbox[outboxSent..], cancellation);
            outboxSent = told.Outbox.Length;
        }

        var changed = told.Checkpoints.Except(recorded).ToImmutableArray();
        if (!changed.IsEmpty)
        {
            await ledger.RecordCheckpoints(told.Id, changed, cancellation);
            recorded = told.Checkpoints;
        }
    }

    private async Task TellPace()
    {
        var now = clock.Now;
        if (stage is { } live && (paceTold is not { } told || now.Since(told) >= PaceEvery) && StagePace.Of(live, vitals.Observe(live.Watched, null, now)) is { } pace)
        {
            paceTold = now;
            await ClusterOf().Told(pace);
        }
    }

    private StageReport? Report() => stage is null ? null
        : StageViews.Report(stage, reason, vitals.Observe(stage.Watched, lastCluster, clock.Now) with { Placement = lastPlacement }, decidedAt);

    private IClusterGrain ClusterOf() => GrainFactory.GetGrain<IClusterGrain>(IClusterGrain.Key);

    private Acknowledgements AcknowledgementsOf(NodeId node) =>
        acknowledgements.TryGetValue(node, out var known) ? known : acknowledgements[node] = new Acknowledgements();

    /// <summary>
    /// Before an agent is started its stage is written, so that this database is not the one that the agent was started from. It trains on
    /// and keeps its reports until a person knows better.
    /// </summary>
    private static WorkerOrder.Continue Unknown() => new();

    /// <summary>A decision that cannot be written is none: its agents are told so, and act by themselves where they must.</summary>
    private string Undecided() => writing is { } since && clock.Now.Since(since) is var waited && waited > WorkerOrders.UndecidedAfter
        ? $"the control plane has not been able to write for {Words.Duration(waited)}" : "";

    private void AskForTick() => this.AsReference<IStageGrain>().Tick().Ignore();
}
