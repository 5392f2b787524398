using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Orleans.Storage;
using Orleans.Utilities;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Hosts a <see cref="RunEngine"/>: does what it asks for, takes commands to it, and shows the run to who looks.</summary>
internal sealed partial class RunGrain(
    [PersistentState("run")] IPersistentState<RunRecord> state, ITrainingCluster cluster, Ledger ledger, TimeProvider clock,
    ILogger<RunGrain> log) : Grain, IRunGrain, IRemindable
{
    // Ours: a page redraws twice a second at most. Beats come more often while ranks start, and no eye reads faster.
    private static readonly TimeSpan PublishEvery = TimeSpan.FromMilliseconds(500);

    private readonly ObserverManager<IRunObserver> observers = new(TimeSpan.FromMinutes(5), log);

    private RunEngine engine = null!;
    private string loggedReason = "";
    private int outboxSent;
    private ImmutableArray<AuditAct> asked = [];
    private Run? recorded;
    private long? published;
    private bool unpublished;
    private IGrainTimer? timer;
    private bool tickAsked;

    private Run? Run => engine.Run;

    private string Name => this.GetPrimaryKeyString();

    public override Task OnActivateAsync(CancellationToken cancellationToken) => Wake(cancellationToken);

    private async Task Wake(CancellationToken cancellation)
    {
        engine = new RunEngine(state.State.Value);
        loggedReason = engine.Reason;
        await Carry(engine.Wake(), cancellation);
        if (Run is { Phase.Terminal: false })
        {
            await KeepTicking();
        }
        else if (Run is not null)
        {
            // A crash may have come between its last write and what the ledger was told.
            AskForTick();
        }
    }

    public async Task<SubmitResult> Submit(RunSubmission submission, CancellationToken cancellation)
    {
        var answer = new AskedOfRun();
        await CarryAsked(engine.Begin(submission, clock.GetUtcNow(), answer), cancellation);
        if (answer.Refusal is { } refusal)
        {
            return new SubmitResult.Occupied(refusal);
        }

        if (Run is not { } run)
        {
            throw new InvalidOperationException($"The submission of {Name} met a newer record; it is read again and asked again.");
        }

        if (!answer.Taken)
        {
            return DeclarationPlanner.Refusal(submission, run) is { } others ? new SubmitResult.Occupied(others)
                : PipelineDiff.Between(run.Pipeline, submission.Pipeline) is { IsEmpty: false } differences
                    ? new SubmitResult.Different(differences) : new SubmitResult.Same(View());
        }

        await KeepTicking();
        await TellLedger(cancellation);
        return new SubmitResult.Created(View());
    }

    public async Task<bool> Import(Run ended, CancellationToken cancellation)
    {
        if (Run is { } here)
        {
            if (!GrainJson.Same(here, ended))
            {
                return false;
            }

            // Since it was taken over its stages may have been too: they are asked anew, and it is recorded as it is with them.
            recorded = null;
            await Wake(cancellation);
            return true;
        }

        state.State = new RunRecord { Value = ended, Acts = Asked.Acts };
        try
        {
            await state.WriteStateAsync(CancellationToken.None);
        }
        catch
        {
            state.State = new RunRecord();
            throw;
        }

        await Wake(cancellation);
        return true;
    }

    public Task<CommandResult> Pause(string reason, CancellationToken cancellation) =>
        Command((r, _, now) => RunCommands.Pause(r, reason, now), cancellation);

    public Task<CommandResult> Resume(string reason, CancellationToken cancellation) =>
        Command((r, _, now) => RunCommands.Resume(r, reason, now), cancellation);

    public Task<CommandResult> Cancel(string reason, CancellationToken cancellation) =>
        Command((r, _, now) => RunCommands.Cancel(r, reason, now), cancellation);

    public Task<CommandResult> Retry(string stage, long? checkpointStep, CancellationToken cancellation) =>
        Command((r, reports, now) => RunCommands.Retry(r, stage, checkpointStep, reports, now), cancellation);

    public Task<CommandResult> Hand(HandVerb verb, HandAsked asked, CancellationToken cancellation) =>
        Command((r, reports, now) => RunHolds.Decide(r, verb, asked, reports, now), cancellation);

    public Task<RunView?> Describe() => Task.FromResult(Run is null ? null : View());

    public Task<RunView?> Summary() => Task.FromResult(Run is null ? null : View().Summary());

    public Task<RunMeasures?> Measures() => Task.FromResult(Run is null ? null : RunMeasures.Of(View(), engine.Reports));

    public Task<RunSubmission?> Submission() =>
        Task.FromResult(Run is not { } run ? null : new RunSubmission(run.Name, run.Pipeline, run.Text) { DeclaredBy = run.DeclaredBy });

    public async Task Subscribe(IRunObserver observer)
    {
        observers.Subscribe(observer, observer);
        if (Run is not null)
        {
            await observer.Changed(View());
        }
    }

    public Task Unsubscribe(IRunObserver observer)
    {
        observers.Unsubscribe(observer);
        return Task.CompletedTask;
    }

    public async Task StageSeen(StageReport report)
    {
        unpublished = true;
        if (engine.Hear(report))
        {
            AskForTick();
        }

        await Publish();
    }

    public Task Tick() => Turn(CancellationToken.None);

    public Task ReceiveReminder(string reminderName, TickStatus status) => Turn(CancellationToken.None);

    private async Task<CommandResult> Command(
        Func<Run, ImmutableArray<StageReport?>, DateTimeOffset, CommandDecision> decide, CancellationToken cancellation)
    {
        var answer = new AskedOfRun();
        await CarryAsked(engine.Command((run, reports) => decide(run, reports, clock.GetUtcNow()), answer), cancellation);
        if (answer.Refusal is { } refusal)
        {
            return new CommandResult.Refused(refusal);
        }

        if (!answer.Taken)
        {
            return new CommandResult.NoSuchRun();
        }

        await KeepTicking();
        await Turn(cancellation);
        return new CommandResult.Taken(View());
    }

    private async Task Turn(CancellationToken cancellation)
    {
        tickAsked = false;
        try
        {
            await Carry(engine.Tick(), cancellation);
            LogNewReason();
            await TellLedger(cancellation);
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            // The one place that catches all: what was not done is done by the next tick.
            LogTickFailed(failed, Name);
        }

        await Publish();
        if (Run is { Phase.Terminal: true })
        {
            await (Untold ? KeepTicking() : StopTicking());
        }
    }

    /// <summary>What is written is written down as what was asked for, and not as what the system did.</summary>
    private async Task CarryAsked(IEnumerable<RunEffect> effects, CancellationToken cancellation)
    {
        asked = Asked.Acts;
        try
        {
            await Carry(effects, cancellation);
        }
        finally
        {
            asked = [];
        }
    }

    private async Task Carry(IEnumerable<RunEffect> effects, CancellationToken cancellation)
    {
        foreach (var effect in effects)
        {
            await effect.Match<Task>(
                askStages: async ask => ask.Reports = [.. await Task.WhenAll(ask.Stages.Select(s => StageOf(s).Describe()))],
                lookAtClock: look =>
                {
                    look.Now = clock.GetUtcNow();
                    return Task.CompletedTask;
                },
                lookAtFolders: async look => look.Found =
                    [.. await Task.WhenAll(look.Stages.Select(s => cluster.LookAtCheckpoints(s, cancellation)))],
                write: Save,
                want: async want => want.Report = await StageOf(want.Wish.Stage).Want(want.Wish, cancellation));
        }
    }

    private async Task Save(RunEffect.Write write)
    {
        LogNewReason();
        var trimmed = write.Next with { Outbox = write.Next.Outbox.RemoveRange(0, outboxSent) };
        bool known = false;
        state.State = new RunRecord
        {
            Value = trimmed,
            Acts = asked.IsEmpty ? SystemActs.Of(Run?.Outbox ?? [], write.Next.Outbox, cluster.Simulated) : asked,
        };
        try
        {
            await state.WriteStateAsync();
            known = true;
            write.Written(trimmed);
        }
        catch (InconsistentStateException conflict)
        {
            LogConflict(conflict, Name);
            await state.ReadStateAsync();
            known = true;
            write.Superseded(state.State.Value);
        }
        finally
        {
            // Neither written nor read: memory goes back to what the disk has.
            state.State = known ? state.State : new RunRecord { Value = Run };
        }

        (outboxSent, unpublished) = (0, true);
    }

    /// <summary>A database that is away at a run's end hears of it when it is back.</summary>
    private bool Untold => Run is { } known && (outboxSent < known.Outbox.Length || !ReferenceEquals(known, recorded));

    private async Task TellLedger(CancellationToken cancellation)
    {
        if (Run is not { } told)
        {
            return;
        }

        if (outboxSent < told.Outbox.Length)
        {
            await ledger.AppendEvents(told.Outbox[outboxSent..], cancellation);
            outboxSent = told.Outbox.Length;
        }

        if (!ReferenceEquals(told, recorded))
        {
            await ledger.RecordRun(View(), cancellation);
            recorded = told;
        }
    }

    /// <summary>At most twice a second; what comes sooner is shown by the next tick, and an end at once, since no tick follows.</summary>
    private async Task Publish()
    {
        bool lately = published is { } at && clock.GetElapsedTime(at) < PublishEvery;
        if (!unpublished || Run is not { } run || (lately && !run.Phase.Terminal))
        {
            return;
        }

        (unpublished, published) = (false, clock.GetTimestamp());
        var view = View();
        await observers.Notify(observer => observer.Changed(view));
    }

    private void LogNewReason()
    {
        if (engine.Reason != loggedReason && Run is { } known)
        {
            bool news = !Decisions.Words.SameButFigures(loggedReason, engine.Reason);
            (loggedReason, unpublished) = (engine.Reason, true);
            if (news)
            {
                LogReason(Name, RunCommands.NameOf(known.Phase), loggedReason);
            }
        }
    }

    private RunView View() => engine.View(cluster.Simulated, clock.GetUtcNow())
        ?? throw new InvalidOperationException($"There is no run {Name} to show.");

    /// <summary>Once while one is asked for that has not begun.</summary>
    private void AskForTick()
    {
        if (!tickAsked)
        {
            tickAsked = true;
            this.AsReference<IRunGrain>().Tick().Ignore();
        }
    }

    private IStageGrain StageOf(StageId stage) => GrainFactory.GetGrain<IStageGrain>(stage.ToString());
}
