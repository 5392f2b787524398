using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>What placement is asked with, and what people and stages tell the queue.</summary>
internal sealed partial class ClusterGrain
{
    /// <summary>Playing the queue forward costs more than one decision, and an estimate ages slowly.</summary>
    private static readonly TimeSpan ForecastEvery = TimeSpan.FromSeconds(10);

    private static readonly PlacementDecision.Pending NotLookedAt =
        PlacementDecision.Pending.Of([new PendingReason(PendingKind.Behind, "not looked at yet")], null, []);

    private readonly Dictionary<StageId, PaceSeen> paces = [];
    private IReadOnlyDictionary<StageId, StartEstimate> forecast = ImmutableDictionary<StageId, StartEstimate>.Empty;
    private (ClusterRecord? Of, DateTimeOffset At) forecasted;

    private PlacementPolicy Policy => state.State.Maintenance.IsEmpty ? policy
        : policy with { Maintenance = policy.Maintenance.AddRange(state.State.Maintenance) };

    public async Task<string?> Move(StageId stage, StageId? before, string reason, CancellationToken cancellation)
    {
        var now = await Question(cancellation);
        var (moves, refusal) = HandMoves.Add(state.State.Moves, PlacementQueue.Decide(now).Order, stage, before, reason);
        if (refusal is null)
        {
            string where = before is { } other ? $"before {other}" : "to the front of the queue";
            var told = Event(stage, now.Waiting.First(w => w.Stage == stage).Id.Number, "moved",
                EventLevel.Info, $"moved {where} by hand: {reason}");
            await Save(state.State with { Moves = moves, Outbox = state.State.Outbox.Add(told) }, Asked.Acts);
            var after = now with { Moves = moves };
            var answer = PlacementQueue.Decide(after);
            (pending, order) = (WithForecast(after, answer), answer.Order);
            await TellLedger(cancellation);
        }

        return refusal;
    }

    public async Task<string?> GiveWay(ImmutableArray<StageId> stages, StageId? heir, string reason, CancellationToken cancellation)
    {
        var held = state.State.Held.Where(h => stages.Contains(h.Stage)).ToImmutableArray();
        if (stages.FirstOrDefault(s => held.All(h => h.Stage != s)) is { Run: not null } idle)
        {
            return $"{idle} holds no nodes";
        }

        if (heir is { } named && state.State.Waiting.All(w => w.Stage != named))
        {
            return $"{named} does not wait for nodes";
        }

        string whom = heir is { } next ? $"gives way to {next} by hand" : "gives its nodes up by hand";
        var asked = held.Select(h => Preemption.ByHand(h, heir, $"{whom}: {reason}")).ToImmutableArray();
        await Save(state.State with
        {
            GivingWay = state.State.GivingWay.RemoveAll(p => stages.Contains(p.Stage)).AddRange(asked),
            // Or it would take the nodes again at once, being as urgent and having waited longer.
            Moves = heir is { } first ? state.State.Moves.Add(new HandMove(first, stages, reason)) : state.State.Moves,
            Outbox = state.State.Outbox.AddRange(
                held.Select(h => Event(h.Stage, h.Id.Number, "give-way-asked", EventLevel.Warning, $"{whom}: {reason}"))),
        }, Asked.Acts);
        await TellLedger(cancellation);
        await Preempt(asked);
        return null;
    }

    public async Task<string?> Plan(MaintenanceWindow window, CancellationToken cancellation)
    {
        var refusal = Maintenance.Refusal(window, await cluster.Observe(cancellation), Policy, clock.GetUtcNow());
        if (refusal is null)
        {
            var ahead = state.State.Maintenance.RemoveAll(w => w.Until <= clock.GetUtcNow());
            await Save(state.State with { Maintenance = ahead.Add(window with { ByHand = true }) }, Asked.Acts);
            await Leave(cancellation);
        }

        return refusal;
    }

    public async Task<string?> CancelMaintenance(string name, CancellationToken cancellation)
    {
        if (state.State.Maintenance.Any(w => w.Name == name))
        {
            await Save(state.State with { Maintenance = state.State.Maintenance.RemoveAll(w => w.Name == name) }, Asked.Acts);
            return null;
        }

        return policy.Maintenance.Any(w => w.Name == name)
            ? $"maintenance {name} comes from the settings file; remove it there and start again"
            : $"there is no maintenance {name}";
    }

    public async Task<Foresight> ForeseeMove(StageId stage, StageId? before, CancellationToken cancellation) =>
        PlacementForesight.Move(await Question(cancellation), stage, before);

    public async Task<Foresight> ForeseeGiveWay(ImmutableArray<StageId> stages, StageId? heir, CancellationToken cancellation) =>
        PlacementForesight.GiveWay(await Question(cancellation), stages, heir);

    public async Task<Foresight> ForeseeNode(NodeId node, bool drains, CancellationToken cancellation) => drains
        ? PlacementForesight.Drain(await Question(cancellation), node) : PlacementForesight.Cordon(await Question(cancellation), node);

    public async Task<string?> CannotStart(PipelineSpec pipeline, CancellationToken cancellation) =>
        FirstLook.CannotStart(pipeline, await Question(cancellation));

    public Task Told(GangPace pace)
    {
        paces[pace.Gang.Stage] = PaceSeen.Of(paces.GetValueOrDefault(pace.Gang.Stage), pace, clock.GetUtcNow(), cluster.TimeFactor);
        return Task.CompletedTask;
    }

    public async Task NodeFailed(NodeFailure failure)
    {
        var failures = NodeHistory.Add(state.State.Failures, failure);
        if (failures != state.State.Failures)
        {
            await Save(state.State with { Failures = failures });
        }
    }

    /// <param name="without">As if this gang had ended. Null: as it is.</param>
    private async Task<PlacementQuestion> Question(CancellationToken cancellation, GangId? without = null)
    {
        cluster.Holds(HeldGangs);
        var seen = await cluster.Observe(cancellation);
        seen = without is { } gang ? seen.Without(gang) : seen;
        var (record, now) = (state.State, clock.GetUtcNow());
        var shown = seen.With(record.Cordons).With(tests.State.Known).With(record.Failures).With(Policy, now)
            .With(tests.State.Tried);
        return new PlacementQuestion(shown, Paces.Apply(record.Held, paces),
            record.Waiting, Policy, now)
        {
            Moves = record.Moves,
            Paces = paces.ToImmutableDictionary(),
        };
    }

    /// <summary>The answer's own estimates, and of those without one what the queue played forward says.</summary>
    private Dictionary<StageId, PlacementDecision.Pending> WithForecast(PlacementQuestion question, PlacementAnswer answer)
    {
        if (!ReferenceEquals(forecasted.Of, state.State) || (question.Now - forecasted.At).Duration() > ForecastEvery)
        {
            forecasted = (state.State, question.Now);
            forecast = StartEstimates.Forecast(question with
            {
                Held = question.Held.AddRange(answer.Placed.Select(p => p.Grant)),
                Waiting = question.Waiting.RemoveAll(w => !answer.Pending.ContainsKey(w.Stage))
            }, answer);
        }

        return answer.Pending.ToDictionary(p => p.Key,
            p => p.Value.Eta is null && forecast.TryGetValue(p.Key, out var eta) ? p.Value with { Eta = eta } : p.Value);
    }

    /// <summary>
    /// For whoever is told of it alone: hundreds that wait ask each second, and each band is looked up among hundreds of earlier starts.
    /// </summary>
    private PlacementDecision.Pending Banded(GangRequest request, PlacementDecision.Pending wait) => wait.Eta is not { } eta ? wait
        : wait with { Eta = starts.State.Book.Band(eta, request.Nodes, clock.GetUtcNow()) };

    /// <summary>Notes what those who wait are told, and how right it was once they start.</summary>
    private async Task LearnStarts()
    {
        var (record, before) = (state.State, starts.State);
        var book = before.Book.Seen(record.Held, record.Waiting.Select(w => w.Id).ToHashSet())
            .Tell(record.Waiting.Where(w => EtaOf(w) is not null).Select(w => (w, EtaOf(w)!)), clock.GetUtcNow());
        if (ReferenceEquals(book, before.Book))
        {
            return;
        }

        // Without the band that earlier starts had: what is learnt from must not hang on it.
        StartEstimate? EtaOf(GangRequest request) => pending.GetValueOrDefault(request.Stage)?.Eta;

        bool written = false;
        starts.State = new StartsRecord { Book = book };
        try
        {
            await starts.WriteStateAsync();
            written = true;
        }
        finally
        {
            starts.State = written ? starts.State : before;
        }
    }

    /// <summary>Tells those that have to leave, again until they are gone.</summary>
    private async Task Leave(CancellationToken cancellation)
    {
        var seen = (await cluster.Observe(cancellation)).With(Policy, clock.GetUtcNow());
        await Preempt([.. Drains.Of(seen, state.State.Cordons, state.State.Held), .. state.State.GivingWay]);
    }

    private RunEvent Event(StageId stage, int attempt, string kind, EventLevel level, string text) =>
        new(clock.GetUtcNow(), stage.Run, stage.Stage, attempt, kind, level, text);

    /// <summary>What cannot be told now is told by a later turn: a ledger that is away undoes nothing of what a person asked for.</summary>
    private async Task TellLedger(CancellationToken cancellation)
    {
        if (state.State.Outbox is not { IsEmpty: false } untold)
        {
            return;
        }

        try
        {
            await ledger.AppendEvents(untold, cancellation);
            await Save(state.State with { Outbox = state.State.Outbox.RemoveRange(0, untold.Length) });
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            LogUntold(failed);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "What was done by hand could not be written to the ledger yet")]
    private partial void LogUntold(Exception failed);
}
