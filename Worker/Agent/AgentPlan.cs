using System.Collections.Immutable;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>What the control plane wants of this node.</summary>
public abstract record Wanted
{
    private Wanted() { }

    /// <summary>Attempt that reports of this agent are about.</summary>
    public abstract int Attempt { get; init; }

    /// <summary>Registered, no order yet: only a standby is warmed.</summary>
    public sealed record Idle(int Attempt) : Wanted;

    /// <param name="SaveOrder">Grows by one with each order to save; a rank is asked once for each.</param>
    /// <param name="SavePending">A save was ordered and no checkpoint has come since: the same order again is no new one.</param>
    public sealed record Training(Assignment Assignment, int SaveOrder = 0, bool SavePending = false, string SaveReason = "")
        : Wanted
    {
        public override int Attempt { get; init; } = Assignment.Attempt.Attempt;

        /// <summary>Who is in the gang, as the control plane has told; null: it has not.</summary>
        public GangRoster? Roster { get; init; }

        /// <summary>Launches that the agent made by itself; with the attempt it fences out what is older.</summary>
        public int LocalTry { get; init; }

        /// <summary>Such launches since the last new checkpoint.</summary>
        public int TriesSpent { get; init; }

        /// <summary>The rank process belongs to an older launch than is wanted.</summary>
        public bool Supersedes(RankSeen rank) => (rank.Attempt, rank.LocalTry).CompareTo((Attempt, LocalTry)) < 0;

        /// <summary>The rank process, alive or not, is of the launch that is wanted.</summary>
        public bool Has(RankSeen rank) => !rank.Standby && rank.Attempt == Attempt && rank.LocalTry == LocalTry;
    }

    /// <param name="SaveUntil">How long ranks may take to save; null: they end at once.</param>
    public sealed record Ending(int Attempt, string Reason, DateTimeOffset? SaveUntil, int ExitCode) : Wanted;
}

/// <summary>One thing for the agent to do.</summary>
public abstract record AgentAction
{
    private AgentAction() { }

    /// <summary>The one that it is; whoever acts has a place for each.</summary>
    public T Match<T>(
        Func<Spawn, T> spawn, Func<Launch, T> launch, Func<Tell, T> tell, Func<Reseat, T> reseat, Func<AskRegroup, T> askRegroup,
        Func<AskSave, T> askSave, Func<AskStop, T> askStop, Func<Kill, T> kill, Func<Prepare, T> prepare, Func<End, T> end) => this switch
        {
            Spawn one => spawn(one),
            Launch one => launch(one),
            Tell one => tell(one),
            Reseat one => reseat(one),
            AskRegroup one => askRegroup(one),
            AskSave one => askSave(one),
            AskStop one => askStop(one),
            Kill one => kill(one),
            Prepare one => prepare(one),
            End one => end(one),
            _ => throw new System.Diagnostics.UnreachableException($"{GetType().Name} has no place in {nameof(AgentAction)}"),
        };

    /// <summary>Starts a process; with a rank it is launched as soon as it is warm, without it is a standby.</summary>
    public sealed record Spawn(int? Rank) : AgentAction;

    public sealed record Launch(int Slot, int Rank) : AgentAction;

    /// <summary>Tells a launched rank what to train, and who else is in its gang.</summary>
    public sealed record Tell(int Slot) : AgentAction;

    /// <summary>A process of an older launch, which has left its gang, takes its rank in this one.</summary>
    public sealed record Reseat(int Slot, int Rank) : AgentAction;

    /// <summary>A process of an older launch is to let go of what it trains, and to wait for the next.</summary>
    public sealed record AskRegroup(int Slot, string Reason) : AgentAction;

    public sealed record AskSave(int Slot, string Reason, int SaveOrder) : AgentAction;

    public sealed record AskStop(int Slot, string Reason) : AgentAction;

    public sealed record Kill(int Slot, string Reason) : AgentAction;

    /// <summary>This standby would take the place of that rank of its node: it makes its GPU ready.</summary>
    public sealed record Prepare(int Slot, int LocalRank) : AgentAction;

    /// <summary>All ranks are gone; the agent ends.</summary>
    public sealed record End(int ExitCode, string Reason) : AgentAction;
}

/// <summary>
/// The agent's decisions. Level-triggered: they compare what is wanted with the processes there are, so that an order that comes
/// twice, or a process that dies between two looks, needs no rule of its own.
/// </summary>
public static class AgentPlan
{
    /// <summary>A standby that died on its own is not replaced sooner: a program that cannot load would be started for ever.</summary>
    public static readonly TimeSpan StandbyPause = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Ours: a rank lets go at its next collective call, of which each layer has some. A new process takes a second or two; so long one
    /// that still computes is worth waiting for.
    /// </summary>
    public static readonly TimeSpan RegroupWithin = TimeSpan.FromSeconds(5);

    /// <returns>What is wanted from now on, and why it changed (empty: it did not).</returns>
    public static (Wanted Next, string Reason) Obey(Wanted wanted, Order? order, DateTimeOffset now) =>
        wanted is Wanted.Ending ? (wanted, "") : order.Match(
            // An order that only a newer control plane knows arrives as none.
            none: () => (wanted, ""),
            goOn: _ => (wanted, ""),
            start: start => Train(wanted, start.Assignment, "told to start"),
            save: save => Save(wanted, save),
            rollBack: back => Train(wanted, back.Assignment,
                $"told to roll back to step {back.ToStep}{LeavingOut(back)}: {back.Reason}"),
            restart: restart => Train(wanted, restart.Assignment, $"told to restart the ranks: {restart.Reason}"),
            form: form => Form(wanted, form),
            stop: stop => (new Wanted.Ending(wanted.Attempt, stop.Reason, now + stop.SaveWithin?.ToTimeSpan(), 0),
                $"told to stop: {stop.Reason}"));

    /// <summary>A checkpoint of the wanted attempt is durable: a launch of the agent's own would go on from it.</summary>
    public static Wanted CheckpointSeen(Wanted wanted, CheckpointReport made)
    {
        if (wanted is not Wanted.Training training || made.Attempt != training.Attempt)
        {
            return wanted;
        }

        var assignment = training.Assignment.Clone();
        assignment.ResumeFrom = new CheckpointRef
        {
            Path = made.Path, Digest = made.Digest, Step = made.Step, Run = assignment.Attempt.Run, Stage = assignment.Attempt.Stage,
        };
        // Its data cursor is beyond what the launch left out.
        return training with { Assignment = assignment, SavePending = false, TriesSpent = 0 };
    }

    public static ImmutableArray<AgentAction> Decide(
        Wanted wanted, ImmutableArray<RankSeen> ranks, string node, Standbys standbys, DateTimeOffset now) => wanted switch
        {
            Wanted.Idle => SpawnStandbys(ranks, standbys.Kept ?? 1, now),
            Wanted.Training training => Train(training, ranks, node, standbys, now),
            Wanted.Ending ending => End(ending, ranks, now),
            _ => throw new System.Diagnostics.UnreachableException(),
        };

    /// <summary>Nothing new where a save is on its way, or nobody could carry it out.</summary>
    private static (Wanted Next, string Reason) Save(Wanted wanted, SaveCheckpoint order) =>
        wanted is Wanted.Training { SavePending: false } training
            ? (training with { SaveOrder = training.SaveOrder + 1, SavePending = true, SaveReason = order.Reason },
                $"told to save: {order.Reason}")
            : (wanted, "");

    /// <summary>
    /// Nothing for a launch that is over, or of a gang on this node, which its agent forms: of two who form one gang the second one's term
    /// would be refused by whoever knows the first one's.
    /// </summary>
    private static (Wanted Next, string Reason) Form(Wanted wanted, Form order) =>
        wanted is Wanted.Training { LocalTry: 0 } training && order.Attempt == training.Attempt
        && training.Assignment.Ranks.Count < training.Assignment.WorldSize
            ? (training with { Roster = order.Roster }, training.Roster is null ? "the gang is complete" : "")
            : (wanted, "");

    private static string LeavingOut(RollBack order) =>
        order.SkipSteps == 0 ? "" : $" and leave out batch {InRanges(order.Assignment.LeftOutBatches)}";

    /// <summary>"57, 296 to 345".</summary>
    private static string InRanges(Google.Protobuf.Collections.RepeatedField<long> ascending)
    {
        var parts = new List<string>();
        for (int i = 0, first = 0; i < ascending.Count; i++)
        {
            if (i + 1 == ascending.Count || ascending[i + 1] != ascending[i] + 1)
            {
                parts.Add(i == first ? $"{ascending[i]}" : $"{ascending[first]} to {ascending[i]}");
                first = i + 1;
            }
        }

        return string.Join(", ", parts);
    }

    private static (Wanted Next, string Reason) Train(Wanted wanted, Assignment assignment, string reason)
    {
        int attempt = assignment.Attempt.Attempt;
        // An order that was on its way when a newer one arrived. The attempt fences it out.
        if (attempt < wanted.Attempt || (attempt == wanted.Attempt && wanted is Wanted.Training))
        {
            return (wanted, "");
        }

        return (new Wanted.Training(assignment), $"{reason} (attempt {attempt})");
    }

    private static ImmutableArray<AgentAction> Train(
        Wanted.Training training, ImmutableArray<RankSeen> ranks, string node, Standbys standbys, DateTimeOffset now)
    {
        var superseded = ranks.Where(r => r.Alive && !r.Standby && training.Supersedes(r)).ToImmutableArray();
        if (superseded.Length > 0)
        {
            // Nothing of this launch starts before the last process of an older one is gone or has let go: two would write the same
            // checkpoint.
            return [.. superseded.Select(r => Supersede(training, r, node, now)).OfType<AgentAction>(),
                .. Prepare(training, ranks, node, standbys)];
        }

        var current = ranks.Where(training.Has).ToImmutableArray();
        var missing = training.Assignment.Ranks.Where(p => p.Node == node && current.All(r => r.Rank != p.Rank)).ToList();
        if (missing.Count > 0)
        {
            return Seat(missing, ranks);
        }

        if (current.Any(r => r.WaitsForGang))
        {
            return !IsFormed(training, current, node) ? []
                : [.. current.Where(r => r.WaitsForGang).Select(r => new AgentAction.Tell(r.Slot))];
        }

        var saves = current
            .Where(r => r.Alive && training.SavePending && r.SaveOrder < training.SaveOrder)
            .Select(r => new AgentAction.AskSave(r.Slot, training.SaveReason, training.SaveOrder));
        // A standby warms up on the same cores, and takes memory of the same GPUs: not before the ranks have settled.
        bool settled = current.All(r => r.Settled);
        return [.. saves, .. Prepare(training, ranks, node, standbys, alsoLiving: settled),
            .. settled ? SpawnStandbys(ranks, standbys.For(training, node), now) : []];
    }

    /// <summary>Each by the standby that is ready for its GPU, else by the warmest, else by a new process.</summary>
    private static ImmutableArray<AgentAction> Seat(IEnumerable<RankPlacement> missing, ImmutableArray<RankSeen> ranks)
    {
        var waiting = ranks.Where(r => r.Alive && r.Standby).ToList();
        return [.. missing.Select(place =>
        {
            if (waiting.OrderByDescending(r => r.PreparedFor == place.LocalRank).ThenBy(r => r.PreparedFor is not null)
                .ThenByDescending(r => r.Life).ThenBy(r => r.Slot).FirstOrDefault() is not { } standby)
            {
                return (AgentAction)new AgentAction.Spawn(place.Rank);
            }

            waiting.Remove(standby);
            return new AgentAction.Launch(standby.Slot, place.Rank);
        })];
    }

    /// <summary>
    /// For each rank of this node that nobody is ready to replace, a warm standby makes its GPU ready: those that have ended first.
    /// </summary>
    /// <param name="alsoLiving">Not only for ranks that have ended.</param>
    private static IEnumerable<AgentAction> Prepare(
        Wanted.Training training, ImmutableArray<RankSeen> ranks, string node, Standbys standbys, bool alsoLiving = false)
    {
        if (!standbys.OnGpus(training))
        {
            return [];
        }

        bool Ended(RankPlacement place) => ranks.Any(r => r.Rank == place.Rank && r is { Alive: false, ExitCode: not 0 })
            && !ranks.Any(r => r.Rank == place.Rank && r.Alive);
        bool Lives(RankPlacement place) => training.Assignment.WorldSize > 1 && ranks.Any(r => r.Rank == place.Rank && r.Alive);
        var places = training.Assignment.Ranks
            .Where(p => p.Node == node && !ranks.Any(r => r.Alive && r.Standby && r.PreparedFor == p.LocalRank))
            .Where(p => Ended(p) || (alsoLiving && Lives(p)))
            .OrderByDescending(Ended);
        var warm = ranks.Where(r => r is { Standby: true, Life: RankLife.Ready, PreparedFor: null }).OrderBy(r => r.Slot);
        return places.Zip(warm, (place, standby) => (AgentAction)new AgentAction.Prepare(standby.Slot, place.LocalRank));
    }

    /// <summary>A gang's living ranks stay as processes, warm and loaded; whoever does not let go in time is not waited for.</summary>
    private static AgentAction? Supersede(Wanted.Training training, RankSeen rank, string node, DateTimeOffset now)
    {
        // Where the gang has lost a node its ranks have other numbers now; a process stays with its GPU.
        var seat = training.Assignment.Ranks.FirstOrDefault(p => p.Node == node && p.LocalRank == rank.LocalRank);
        bool stays = (training.Assignment.WorldSize > 1 || rank.OfGang) && seat is not null && !rank.StopAsked && !rank.Halted;
        string why = $"superseded by attempt {training.Attempt}";
        return !stays ? new AgentAction.Kill(rank.Slot, why)
            : rank.LeftGang || !rank.Told ? new AgentAction.Reseat(rank.Slot, seat!.Rank)
            : rank.RegroupAskedAt is not { } asked ? new AgentAction.AskRegroup(rank.Slot, why)
            : now - asked < RegroupWithin ? null
            : new AgentAction.Kill(rank.Slot, $"{why}; it did not let go within {RegroupWithin.TotalSeconds:0} s");
    }

    /// <summary>With other nodes in the gang the control plane says who is in it; a gang of one node is formed there.</summary>
    private static bool IsFormed(Wanted.Training training, ImmutableArray<RankSeen> current, string node) =>
        training.Roster is not null
        || (AlonePlan.WholeGangIsHere(training.Assignment, node) && current.All(r => r.Told || r.WaitsForGang));

    private static ImmutableArray<AgentAction> SpawnStandbys(ImmutableArray<RankSeen> ranks, int standbys, DateTimeOffset now)
    {
        if (ranks.Any(r => r.Standby && r.EndedAt is { } at && now < at + StandbyPause))
        {
            return [];
        }

        int there = ranks.Count(r => r.Standby && r.Alive);
        return [.. Enumerable.Repeat(new AgentAction.Spawn(null), Math.Max(0, standbys - there))];
    }

    private static ImmutableArray<AgentAction> End(Wanted.Ending ending, ImmutableArray<RankSeen> ranks, DateTimeOffset now)
    {
        var alive = ranks.Where(r => r.Alive).ToImmutableArray();
        if (alive.Length == 0)
        {
            return [new AgentAction.End(ending.ExitCode, ending.Reason)];
        }

        bool patient = ending.SaveUntil is { } until && now < until;
        return [.. alive.SelectMany(r => patient && !r.Standby
            ? r.StopAsked ? [] : new AgentAction[] { new AgentAction.AskStop(r.Slot, ending.Reason) }
            : [new AgentAction.Kill(r.Slot, ending.Reason)])];
    }
}
