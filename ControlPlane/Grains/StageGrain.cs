using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;
using DeepSeekOps.Decisions.Stages;
using Orleans.Storage;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// Hosts a <see cref="StageEngine"/>: does what it asks for, and hands on what agents and people say. Heartbeats only touch memory; what
/// they bring is decided on in the tick they ask for.
/// </summary>
internal sealed partial class StageGrain(
    [PersistentState("stage")] IPersistentState<StageRecord> state, ITrainingCluster cluster, Ledger ledger, SteadyClock clock,
    Standing standing, ILogger<StageGrain> log) : Grain, IStageGrain, IRemindable
{
    // Ours: the queue foresees ends to the minute; a pace told each five seconds is new enough and one small call.
    private static readonly TimeSpan PaceEvery = TimeSpan.FromSeconds(5);

    private readonly Dictionary<NodeId, Acknowledgements> acknowledgements = [];
    private readonly IncidentsTold incidents = new();
    private StageEngine engine = null!;
    private string loggedReason = "";
    private int outboxSent;
    private Instant? paceTold;
    private ImmutableArray<StageCheckpoint> recorded = [];
    private Incident? incidentCounted;
    private IGrainTimer? timer;
    private bool tickAsked;

    private StageId Id => StageId.Parse(this.GetPrimaryKeyString());

    private Stage? Stage => engine.Stage;

    public override Task OnActivateAsync(CancellationToken cancellationToken) => Wake();

    private Task Wake()
    {
        engine = new StageEngine(state.State.Value, clock.Now) { TimeFactor = cluster.TimeFactor };
        loggedReason = engine.Reason;
        // What another process saw come was counted there.
        incidentCounted = Stage?.NewestIncident;
        if (Stage is { Phase.Terminal: true })
        {
            // A crash may have come between its last write and what the ledger was told.
            AskForTick();
        }

        return Stage is { Phase.Terminal: false } ? KeepTicking() : Task.CompletedTask;
    }

    public async Task<StageReport> Want(StageWish wish, CancellationToken cancellation)
    {
        bool news = false;
        foreach (var effect in engine.Want(wish))
        {
            await Do(effect, cancellation);
            news = true;
        }

        if (news)
        {
            await KeepTicking();
            await Turn(cancellation);
        }

        return engine.Report(clock.Now)
            ?? throw new InvalidOperationException($"The wish for {Id} met a newer record; it is read again and asked again.");
    }

    public async Task<bool> Import(Stage ended, CancellationToken cancellation)
    {
        if (Stage is { } here)
        {
            return GrainJson.Same(here, ended);
        }

        state.State = new StageRecord { Value = ended };
        try
        {
            await state.WriteStateAsync(CancellationToken.None);
        }
        catch
        {
            state.State = new StageRecord();
            throw;
        }

        await Wake();
        return true;
    }

    public Task<WorkerReply> Register(AgentRegistration registration)
    {
        DemandStanding();
        return Task.FromResult(engine.Register(registration, clock.Now));
    }

    public Task<WorkerReply> Heartbeat(AgentBeat beat)
    {
        DemandStanding();
        var heard = engine.Heartbeat(beat, clock.Now, Keep);
        GrainMeter.Beat(heard.Refused ? GrainMeter.Superseded : GrainMeter.Taken);
        if (heard.News)
        {
            AskForTick();
        }

        return Task.FromResult(heard.Reply);
    }

    public Task Preempt(Preemption preemption)
    {
        engine.Preempt(preemption);
        AskForTick();
        return Task.CompletedTask;
    }

    public Task Inject(RankFault fault)
    {
        engine.Inject(fault, clock.Now);
        return Task.CompletedTask;
    }

    public Task<TraceView?> Record(int steps, TimeSpan within) => Task.FromResult(engine.Record(steps, within, clock.Now));

    public Task<TraceView?> Recording()
    {
        var view = engine.Recording(clock.Now);
        if (engine.TraceToKeep is not null)
        {
            AskForTick();
        }

        return Task.FromResult(view);
    }

    public Task<StageReport?> Describe() => Task.FromResult(engine.Report(clock.Now));

    public Task<int> NewestAttempt() => Task.FromResult(engine.Stage?.Attempt ?? 0);

    public Task<ImmutableArray<RankView>> Ranks() => Task.FromResult(engine.Ranks(clock.Now));

    public Task Tick() => Turn(CancellationToken.None);

    public Task ReceiveReminder(string reminderName, TickStatus status) => Turn(CancellationToken.None);

    private async Task Turn(CancellationToken cancellation)
    {
        // What comes from here on may be too late for this turn, and asks for the next.
        tickAsked = false;
        if (!standing.Speaks())
        {
            // Perhaps it goes on elsewhere: what would be done by what is remembered here is over.
            return;
        }

        try
        {
            foreach (var effect in engine.Tick())
            {
                await Do(effect, cancellation);
            }

            LogNewReason();
            CountIncident();
            await TellLedger(cancellation);
            await TellPace();
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            // The one place that catches all: what was not done is done by the next tick.
            LogTickFailed(failed, Id);
        }

        if (engine.Report(clock.Now) is { } report)
        {
            await GrainFactory.GetGrain<IRunGrain>(Id.Run).StageSeen(report);
        }

        if (Stage is { Phase.Terminal: true })
        {
            await (Untold ? KeepTicking() : StopTicking());
        }
    }

    private Task Do(StageEffect effect, CancellationToken cancellation) => effect.Match<Task>(
        look: look => Look(look, cancellation),
        lookAtCheckpoints: async folder => folder.Found = await cluster.LookAtCheckpoints(folder.Stage, cancellation),
        write: Save,
        keepEvidence: async keep => await ledger.KeepEvidence(keep.Evidence.With(await PodsOf(cancellation)), cancellation),
        nodeFailed: failed => ClusterOf().NodeFailed(failed.Failure),
        nodesChecked: nodes => ClusterOf().NodesChecked(nodes.Told),
        createPods: create => ToldIfFailed(() => cluster.CreatePods(create.Gang, cancellation)),
        endPods: end => ToldIfFailed(async () => end.Certain = await cluster.DeletePods(end.Gang, end.Nodes, end.Reason, cancellation)),
        release: release => ClusterOf().Release(release.Gang, release.Nodes, cancellation));

    private async Task Look(StageEffect.Look look, CancellationToken cancellation)
    {
        var snapshot = look.Cluster ? await SnapshotOrNull(cancellation) : null;
        var placement = look.Request is { } request ? await ClusterOf().Request(request, cancellation) : null;
        var awake = clock.Look();
        look.Seen(snapshot, placement, awake.Looked, awake.AwakeSince);
    }

    /// <summary>Who looks at the stage is told what the log is told.</summary>
    private async Task ToldIfFailed(Func<Task> work)
    {
        try
        {
            await work();
            engine.Trouble = "";
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            engine.Trouble = failed.Message;
            throw;
        }
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

    /// <summary>Good to have, and a recovery does not wait for a cluster that cannot be asked.</summary>
    private async Task<ImmutableArray<PodEvidence>> PodsOf(CancellationToken cancellation)
    {
        try
        {
            return Stage?.Phase.GangOrNull is { } gang ? await cluster.EvidenceOf(gang.Id, cancellation) : [];
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            LogClusterUnknown(failed, Id);
            return [];
        }
    }

    private async Task Save(StageEffect.Write write)
    {
        LogNewReason();
        var trimmed = write.Next with { Outbox = write.Next.Outbox.RemoveRange(0, outboxSent) };
        bool known = false;
        state.State = new StageRecord
        {
            Value = trimmed, Acts = SystemActs.Of(Stage?.Outbox ?? [], write.Next.Outbox, cluster.Simulated),
        };
        try
        {
            await state.WriteStateAsync();
            known = true;
            write.Written(trimmed);
        }
        catch (InconsistentStateException conflict)
        {
            LogConflict(conflict, Id);
            await state.ReadStateAsync();
            known = true;
            write.Superseded(state.State.Value);
        }
        finally
        {
            // Neither written nor read: memory goes back to what the disk has.
            state.State = known ? state.State : new StageRecord { Value = Stage };
        }

        outboxSent = 0;
    }

    /// <summary>A database that is away at a stage's end hears of it when it is back.</summary>
    private bool Untold => Stage is { } known && (outboxSent < known.Outbox.Length || known.Checkpoints.Except(recorded).Any()
        || incidents.Lacks(known) || engine.TraceToKeep is not null);

    private async Task TellLedger(CancellationToken cancellation)
    {
        if (Stage is not { } told)
        {
            return;
        }

        if (outboxSent < told.Outbox.Length)
        {
            await ledger.AppendEvents(told.Outbox[outboxSent..], cancellation);
            outboxSent = told.Outbox.Length;
        }

        await incidents.Tell(told, ledger, cancellation);
        var changed = told.Checkpoints.Except(recorded).ToImmutableArray();
        if (!changed.IsEmpty)
        {
            await ledger.RecordCheckpoints(told.Id, changed, cancellation);
            recorded = told.Checkpoints;
        }

        if (engine.TraceToKeep is { } trace)
        {
            await ledger.KeepTrace(trace, cancellation);
            engine.TraceKept(trace.Id);
        }
    }

    private void CountIncident()
    {
        if (Stage?.NewestIncident is { } incident)
        {
            var news = IncidentNews.Between(incidentCounted, incident);
            incidentCounted = incident;
            GrainMeter.Count(news);
            foreach (var one in news)
            {
                RecoverySpans.Tell(one, of => LogIncident(Id, of.Number, of.Sentence));
            }
        }
    }

    private async Task TellPace()
    {
        var now = clock.Now;
        if ((paceTold is not { } told || now.Since(told) >= PaceEvery) && engine.Pace(now) is { } pace)
        {
            paceTold = now;
            await ClusterOf().Told(pace);
        }
    }

    /// <summary>Into the ledger, and up to which beat of this agent it is durable.</summary>
    private long Keep(AgentBeat beat)
    {
        if (!acknowledgements.TryGetValue(beat.Node, out var taken))
        {
            taken = acknowledgements[beat.Node] = new Acknowledgements();
        }

        taken.Take(beat, Stage!.Wish.Pipeline, ledger);
        return taken.Durable;
    }

    /// <summary>Of a silo that was stopped, the stage may have gone on elsewhere: what is remembered here would end its agents.</summary>
    private void DemandStanding()
    {
        if (!standing.Speaks())
        {
            throw new SiloUnavailableException($"The silo that had {Id} does not know whether it still has; ask again.");
        }
    }

    private void LogNewReason()
    {
        if (engine.Reason != loggedReason && Stage is { } known)
        {
            bool news = !Words.SameButFigures(loggedReason, engine.Reason);
            loggedReason = engine.Reason;
            if (news)
            {
                LogReason(Id, StageViews.NameOf(known.Phase), loggedReason);
            }
        }
    }

    private IClusterGrain ClusterOf() => GrainFactory.GetGrain<IClusterGrain>(IClusterGrain.Key);

    /// <summary>
    /// Once while one is asked for that has not begun: of a gang that starts or breaks each of hundreds of agents has news, and a turn
    /// looks at all of it.
    /// </summary>
    private void AskForTick()
    {
        if (!tickAsked)
        {
            tickAsked = true;
            this.AsReference<IStageGrain>().Tick().Ignore();
        }
    }
}
