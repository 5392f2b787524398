using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Orleans.Storage;
using Orleans.Utilities;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Asks its stages for what the planner wants of them, and shows the run to who looks.</summary>
internal sealed partial class RunGrain(
    [PersistentState("run")] IPersistentState<RunRecord> state, ITrainingCluster cluster, Ledger ledger, TimeProvider clock,
    ILogger<RunGrain> log) : Grain, IRunGrain, IRemindable
{
    // Ours: a run makes one move a turn, and the longest chain of moves that need nothing from outside (a stage ends, its gate opens, the
    // next asks for GPUs) has fewer than ten. A bound, so that two moves that undo each other cannot keep a silo busy.
    private const int TurnsPerTick = 16;
    // Ours: a page redraws twice a second at most. Beats come more often while ranks start, and no eye reads faster.
    private static readonly TimeSpan PublishEvery = TimeSpan.FromMilliseconds(500);

    private readonly ObserverManager<IRunObserver> observers = new(TimeSpan.FromMinutes(5), log);

    private Run? run;
    private StageReport?[] reports = [];
    private string reason = "";
    private DateTimeOffset? decidedAt;
    private int outboxSent;
    private Run? recorded;
    private long? published;
    private bool unpublished;
    private IGrainTimer? timer;

    private string Name => this.GetPrimaryKeyString();

    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        TakeFromDisk();
        if (run is null)
        {
            return;
        }

        reports = await Task.WhenAll(run.Stages.Select(s => StageOf(s.Work.Name).Describe()));
        if (!run.Phase.Terminal)
        {
            await KeepTicking();
        }
        else
        {
            // A crash may have come between its last write and what the ledger was told.
            this.AsReference<IRunGrain>().Tick().Ignore();
        }
    }

    public async Task<SubmitResult> Submit(RunSubmission submission, CancellationToken cancellation)
    {
        if (run is not null)
        {
            if (DeclarationPlanner.Refusal(submission, run) is { } others)
            {
                return new SubmitResult.Occupied(others);
            }

            var differences = PipelineDiff.Between(run.Pipeline, submission.Pipeline);
            return differences.IsEmpty ? new SubmitResult.Same(View(run)) : new SubmitResult.Different(differences);
        }

        var folders = await Task.WhenAll(
            submission.Pipeline.Stages.Select(s => cluster.LookAtCheckpoints(new StageId(submission.Name, s.Name), cancellation)));
        if (Adoption.Refusal(submission, [.. folders]) is { } refusal)
        {
            return new SubmitResult.Occupied(refusal);
        }

        var begun = RunCommands.Begin(submission, clock.GetUtcNow(), [.. folders]);
        if (!await TrySave(begun))
        {
            return await Submit(submission, cancellation);
        }

        reports = new StageReport?[begun.Stages.Length];
        await KeepTicking();
        await TellLedger(cancellation);
        return new SubmitResult.Created(View(begun));
    }

    public Task<CommandResult> Pause(string reason, CancellationToken cancellation) =>
        Command((r, now) => RunCommands.Pause(r, reason, now), cancellation);

    public Task<CommandResult> Resume(string reason, CancellationToken cancellation) =>
        Command((r, now) => RunCommands.Resume(r, reason, now), cancellation);

    public Task<CommandResult> Cancel(string reason, CancellationToken cancellation) =>
        Command((r, now) => RunCommands.Cancel(r, reason, now), cancellation);

    public Task<CommandResult> Retry(string stage, long? checkpointStep, CancellationToken cancellation) =>
        Command((r, now) => RunCommands.Retry(r, stage, checkpointStep, [.. reports], now), cancellation);

    public Task<CommandResult> Hand(HandVerb verb, HandAsked asked, CancellationToken cancellation) =>
        Command((r, now) => RunHolds.Decide(r, verb, asked, [.. reports], now), cancellation);

    public Task<RunView?> Describe() => Task.FromResult(run is null ? null : View(run));

    public Task<RunView?> Summary() => Task.FromResult(run is null ? null : View(run).Summary());

    public Task<RunSubmission?> Submission() =>
        Task.FromResult(run is null ? null : new RunSubmission(run.Name, run.Pipeline, run.Text) { DeclaredBy = run.DeclaredBy });

    public async Task Subscribe(IRunObserver observer)
    {
        observers.Subscribe(observer, observer);
        if (run is not null)
        {
            await observer.Changed(View(run));
        }
    }

    public Task Unsubscribe(IRunObserver observer)
    {
        observers.Unsubscribe(observer);
        return Task.CompletedTask;
    }

    public async Task StageSeen(StageReport report)
    {
        if (run is null || run.Stages.All(s => s.Work.Name != report.Stage.Stage))
        {
            return;
        }

        int index = run.IndexOf(report.Stage.Stage);
        bool moved = reports[index]?.Phase.GetType() != report.Phase.GetType() || reports[index]?.Round != report.Round;
        reports[index] = report;
        unpublished = true;
        if (moved)
        {
            this.AsReference<IRunGrain>().Tick().Ignore();
        }

        await Publish();
    }

    public Task Tick() => Turn(CancellationToken.None);

    public Task ReceiveReminder(string reminderName, TickStatus status) => Turn(CancellationToken.None);

    private async Task<CommandResult> Command(Func<Run, DateTimeOffset, CommandDecision> decide, CancellationToken cancellation)
    {
        while (run is not null)
        {
            switch (decide(run, clock.GetUtcNow()))
            {
                case CommandDecision.Refuse refused:
                    return new CommandResult.Refused(refused.Reason);
                case CommandDecision.Take take when await TrySave(take.Next):
                    await KeepTicking();
                    await Turn(cancellation);
                    return new CommandResult.Taken(View(run));
            }
        }

        return new CommandResult.NoSuchRun();
    }

    private async Task Turn(CancellationToken cancellation)
    {
        try
        {
            for (int turn = 0; turn < TurnsPerTick && run is { } before; turn++)
            {
                await Once(cancellation);
                if (ReferenceEquals(run, before))
                {
                    break;
                }
            }

            await TellLedger(cancellation);
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            // The one place that catches all: what was not done is done by the next tick.
            LogTickFailed(failed, Name);
        }

        await Publish();
        if (run is { Phase.Terminal: true })
        {
            await (Untold ? KeepTicking() : StopTicking());
        }
    }

    private async Task Once(CancellationToken cancellation)
    {
        var decision = RunPlanner.Decide(run!, [.. reports], clock.GetUtcNow());
        if (!ReferenceEquals(decision.Next, run) && !await TrySave(decision.Next))
        {
            return;
        }

        decidedAt = clock.GetUtcNow();
        if (decision.Reason != reason)
        {
            bool news = !Decisions.Words.SameButFigures(reason, decision.Reason);
            reason = decision.Reason;
            unpublished = true;
            if (news)
            {
                LogReason(Name, RunCommands.NameOf(run!.Phase), reason);
            }
        }

        foreach (var wish in decision.Wishes)
        {
            reports[run!.IndexOf(wish.Stage.Stage)] = await StageOf(wish.Stage.Stage).Want(wish, cancellation);
        }
    }

    private async Task<bool> TrySave(Run next)
    {
        var trimmed = next with { Outbox = next.Outbox.RemoveRange(0, outboxSent) };
        bool written = false;
        state.State = new RunRecord { Value = trimmed };
        try
        {
            await state.WriteStateAsync();
            written = true;
        }
        catch (InconsistentStateException conflict)
        {
            LogConflict(conflict, Name);
            await state.ReadStateAsync();
            TakeFromDisk();
            return false;
        }
        finally
        {
            state.State = written ? state.State : new RunRecord { Value = run };
        }

        (run, outboxSent, unpublished) = (trimmed, 0, true);
        return true;
    }

    private void TakeFromDisk()
    {
        (run, outboxSent, reason) = (state.State.Value, 0, state.State.Value?.Reason ?? "");
        Array.Resize(ref reports, run?.Stages.Length ?? 0);
    }

    /// <summary>A database that is away at a run's end hears of it when it is back.</summary>
    private bool Untold => run is { } known && (outboxSent < known.Outbox.Length || !ReferenceEquals(known, recorded));

    private async Task TellLedger(CancellationToken cancellation)
    {
        if (run is not { } told)
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
            await ledger.RecordRun(View(told), cancellation);
            recorded = told;
        }
    }

    /// <summary>At most twice a second; what comes sooner is shown by the next tick, and an end at once, since no tick follows.</summary>
    private async Task Publish()
    {
        bool lately = published is { } at && clock.GetElapsedTime(at) < PublishEvery;
        if (!unpublished || run is null || (lately && !run.Phase.Terminal))
        {
            return;
        }

        (unpublished, published) = (false, clock.GetTimestamp());
        var view = View(run);
        await observers.Notify(observer => observer.Changed(view));
    }

    private RunView View(Run shown) =>
        RunCommands.View(shown, [.. reports], reason.Length == 0 ? shown.Reason : reason, cluster.Simulated, clock.GetUtcNow()) with
        {
            AsOf = shown.Phase.Terminal ? null : decidedAt,
        };

    private IStageGrain StageOf(string stage) => GrainFactory.GetGrain<IStageGrain>(new StageId(Name, stage).ToString());
}
