using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// Enters what a stage's GPUs did into its account, by the phase in which it was and what was met at its end. Told after each decision
/// that is written, and for a view at any moment; it decides nothing.
/// </summary>
public static class StageBooks
{
    /// <summary>
    /// Steps that are told after a time in which nobody listened fill it by their mean pace; so much of it may be missing before it is
    /// called unknown. Ours: paces of one stage differ less from hour to hour, and a restart of ours must not look like one of the ranks.
    /// </summary>
    private const double Slack = 0.1;

    private static readonly TimeSpan SlackAtLeast = TimeSpan.FromSeconds(2);

    /// <summary>The account as it is now, of a stage that nothing was decided about, in hours of its cluster.</summary>
    public static StageAccount? At(Stage stage, Observation seen, DateTimeOffset now) => stage.Account is { } account
        ? Spent(account, stage, seen, null, now).Times(seen.TimeFactor) : null;

    /// <param name="met">The failure that the decision answers. Null: none.</param>
    public static Stage Enter(Stage before, Stage next, Observation seen, Failure? met, DateTimeOffset now)
    {
        if (before.Account is not { } account)
        {
            return next.Phase is Phase.Waiting ? next : next with { Account = Begin(before, next, now) };
        }

        account = Spent(account, before, seen, met, now);
        foreach (var made in next.Checkpoints.Except(before.Checkpoints).Select(c => c.Made).Except(before.Checkpoints.Select(c => c.Made)))
        {
            account = account.Take(GoodputBucket.Checkpoint, Ours(made.Stall, seen));
        }

        account = account.Take(GoodputBucket.Straggler, Ours(TimeSpan.FromSeconds(seen.News.SlowSeconds), seen));
        foreach (var restart in seen.News.LocalRestarts.Where(r => r.Attempt == next.Attempt && r.LocalTry > before.LocalTry))
        {
            account = account.Take(GoodputBucket.Restart, LaunchOn(restart.Node, seen), FailureCause.RankExited.InWords());
        }

        bool trains = before.Phase is Phase.Running || (next.Phase is Phase.Running && next.Attempt == before.Attempt);
        if (seen.Latest is { } sample && sample.Attempt == before.Attempt && trains && next.Round == before.Round)
        {
            account = account.Mark(sample.Step);
        }

        account = account with { Cause = CauseOf(account, before, next, seen, met) };
        if (met is null && before.NewestIncident is { Withholds: true } && next is { Phase: Phase.Running, NewestIncident.Open: false })
        {
            // It went on by itself: nothing is waited for any more.
            account = account with { Cause = "" };
        }

        return next with { Account = next.Phase is Phase.Running && before.Phase is not Phase.Running ? Trains(account, next) : account };
    }

    /// <summary>The first step after a launch: from here on it is known what is made again, and nothing is waited for any more.</summary>
    private static StageAccount Trains(StageAccount account, Stage next)
    {
        string cause = account.Cause.Length > 0 ? account.Cause : "by order";
        return account.GoOnFrom(next.LaunchedFrom, cause) with { Cause = "" };
    }

    /// <summary>What an older version wrote has no account: what it did until now nobody has booked.</summary>
    private static StageAccount Begin(Stage before, Stage next, DateTimeOffset now)
    {
        var fresh = StageAccount.Open(now, next.Wish.Work.Ranks);
        return before.Phase is Phase.Waiting || before.Phase.Terminal || before.StartedAt is not { } began || began >= now ? fresh
            : (fresh with { At = began }).Enter(GoodputBucket.Unknown, now)
                .List(new UnknownPeriod(began, now, "a version before this ledger did not book it"));
    }

    private static StageAccount Spent(StageAccount account, Stage stage, Observation seen, Failure? met, DateTimeOffset now)
    {
        string cause = account.Cause;
        var waits = cause.Length > 0 ? GoodputBucket.Restart : GoodputBucket.StartUp;
        return stage.Phase switch
        {
            Phase.Waiting or Phase.Paused or Phase.Completed or Phase.Failed or Phase.Cancelled => account.Pass(now),
            Phase.Queued => account.Enter(GoodputBucket.Queue, now, cause),
            Phase.Starting or Phase.Checking or Phase.Running or Phase.Restarting when stage.NewestIncident is { Withholds: true } =>
                account.Enter(GoodputBucket.OnHold, now, cause, Held(stage)),
            Phase.BackingOff backing when stage.Wish.Held is { } hold =>
                Waited(account, backing, hold, waits, stage, now).Enter(waits, now, cause, Held(stage)),
            Phase.Running => Trained(account, stage, seen, met, now),
            _ => account.Enter(waits, now, cause, Held(stage)),
        };
    }

    /// <summary>A launch that a person's hold has kept waiting: until the hold's end, from when it was due.</summary>
    private static StageAccount Waited(
        StageAccount account, Phase.BackingOff backing, PersonsHold hold, GoodputBucket waits, Stage stage, DateTimeOffset now)
    {
        if (hold.Stage.Length > 0 && hold.Stage != stage.Id.Stage)
        {
            return account;
        }

        var ended = hold.EndedAt ?? hold.Until ?? now;
        var until = ended < now ? ended : now;
        var due = backing.Until > hold.Since ? backing.Until : hold.Since;
        return account.Enter(waits, due < until ? due : until, account.Cause, Held(stage))
            .Enter(GoodputBucket.OnHold, until, account.Cause, Held(stage));
    }

    /// <summary>A gang that lost nodes without a spare trains with fewer; one that is being given back holds none in its name.</summary>
    private static int? Held(Stage stage) => stage.Phase.GangOrNull is { Nodes.IsEmpty: false } gang ? gang.Slots : null;

    private static StageAccount Trained(StageAccount account, Stage stage, Observation seen, Failure? met, DateTimeOffset now)
    {
        var broke = met is null || met.HappenedAt > now ? now : met.HappenedAt;
        var trained = Listened(account, stage, seen, broke);
        if (met is null)
        {
            return trained;
        }

        string cause = met.Cause.InWords();
        // What was entered as trained before anybody knew.
        return trained.Take(GoodputBucket.Detection, account.At - broke, cause).Enter(GoodputBucket.Detection, now, cause, Held(stage));
    }

    private static StageAccount Listened(StageAccount account, Stage stage, Observation seen, DateTimeOffset to)
    {
        var deaf = Deaf(account, stage, seen, to);
        if (deaf <= TimeSpan.Zero)
        {
            return account.Enter(GoodputBucket.Productive, to, held: Held(stage));
        }

        long from = account.Marks is [.., var last] ? last.Step : stage.LaunchedFrom;
        long steps = seen.Latest is { } sample && sample.Attempt == stage.Attempt ? Math.Max(0, sample.Step - from) : 0;
        double pace = seen.Times.IsEmpty ? stage.Latest?.StepSeconds ?? 0 : seen.Times.Average(t => t.Seconds);
        var span = to - account.At;
        var filled = TimeSpan.FromSeconds(Math.Min(steps * pace / seen.TimeFactor, span.TotalSeconds));
        var missing = span - filled < deaf ? span - filled : deaf;
        if (missing <= SlackAtLeast || missing <= deaf * Slack)
        {
            return account.Enter(GoodputBucket.Productive, to, held: Held(stage));
        }

        // Where in it the steps were made nobody knows: they are put first.
        var deafEnd = stage.NewestIncident is { State: IncidentState.Suspected } || seen.Since.At > to ? to : seen.Since.At;
        var begins = deafEnd - missing;
        return account.Enter(GoodputBucket.Productive, begins, held: Held(stage))
            .Enter(GoodputBucket.Unknown, deafEnd, held: Held(stage))
            .Enter(GoodputBucket.Productive, to, held: Held(stage))
            .List(new UnknownPeriod(begins, deafEnd, $"{Words.Duration(missing)} without any report, and with no step to show for it"));
    }

    /// <summary>How much of the time since the last entry nobody was heard in.</summary>
    private static TimeSpan Deaf(StageAccount account, Stage stage, Observation seen, DateTimeOffset to)
    {
        if (stage.NewestIncident is { State: IncidentState.Suspected })
        {
            return to - account.At;
        }

        var listening = seen.Since.At < to ? seen.Since.At : to;
        return listening - account.At;
    }

    private static TimeSpan LaunchOn(NodeId node, Observation seen) =>
        Ours(TimeSpan.FromSeconds(seen.AgentOn(node)?.LaunchSeconds.Values.Where(double.IsFinite).Sum() ?? 0), seen);

    /// <summary>The account is of our time; what agents measured is of theirs, which a simulated cluster plays faster.</summary>
    private static TimeSpan Ours(TimeSpan theirs, Observation seen) => theirs / seen.TimeFactor;

    private static string CauseOf(StageAccount account, Stage before, Stage next, Observation seen, Failure? met)
    {
        if (met is not null)
        {
            // A new node that is swapped belongs to the start of its gang.
            return met.OfNewNode ? account.Cause : met.Cause.InWords();
        }

        if (next.Round != before.Round)
        {
            return "";
        }

        bool stopped = next.Phase is Phase.Stopping { Then: Ending.Relaunch } && before.Phase is not Phase.Stopping;
        return !stopped || account.Cause.Length > 0 ? account.Cause
            : seen.Preemption is null ? "cluster stopped" : seen.Preemption.For is null ? "drained" : "preempted";
    }
}
