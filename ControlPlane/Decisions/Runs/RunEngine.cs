using System.Collections.Immutable;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>
/// What a control plane does about one run: it hears its stages, decides, has the decision written, and tells the stages. Pure of I/O like
/// <see cref="StageEngine"/>: what is to be done in the world it hands out as <see cref="RunEffect"/>s, one by one, and goes on with the
/// answer. The grain, the virtual control plane and the tests' world host this same code.
/// </summary>
/// <param name="written">As the disk has it. Null: nobody has submitted the run yet.</param>
/// <param name="decide">Takes the decision; another than the planner's only where a test breaks it.</param>
public sealed class RunEngine(Run? written, Func<Run, ImmutableArray<StageReport?>, DateTimeOffset, RunDecision>? decide = null)
{
    // Ours: a run makes one move a turn, and the longest chain of moves that need nothing from outside (a stage ends, its gate opens, the
    // next asks for GPUs) has fewer than ten. A bound, so that two moves that undo each other cannot keep a silo busy.
    private const int TurnsPerTick = 16;

    private readonly Func<Run, ImmutableArray<StageReport?>, DateTimeOffset, RunDecision> decide = decide ?? RunPlanner.Decide;
    private readonly Dictionary<string, StageReport> heard = new(StringComparer.Ordinal);
    private bool asked;

    /// <summary>As it is written. Never ahead of the disk, so that no stage is told what a crash could forget.</summary>
    public Run? Run { get; private set; } = written;

    /// <summary>The newest decision's, with the numbers of the moment.</summary>
    public string Reason { get; private set; } = written?.Reason ?? "";

    /// <summary>When the newest decision was taken. Null: none was since this process began.</summary>
    public DateTimeOffset? DecidedAt { get; private set; }

    /// <summary>Something was heard or written since the newest decision: the next may be another, even at the same moment.</summary>
    public bool News { get; private set; } = true;

    /// <summary>By stage, what it last told; null: nothing yet.</summary>
    public ImmutableArray<StageReport?> Reports => Run is null ? [] : [.. Run.Stages.Select(s => heard.GetValueOrDefault(s.Work.Name))];

    /// <summary>What people and programs may see of the run. Null: there is none.</summary>
    public RunView? View(bool simulated, DateTimeOffset now) => Run is not { } run ? null
        : RunCommands.View(run, Reports, Reason.Length == 0 ? run.Reason : Reason, simulated, now) with
        {
            AsOf = run.Phase.Terminal ? null : DecidedAt,
        };

    /// <summary>A stage tells how it is. Memory only.</summary>
    /// <returns>It has moved: a tick that is not waited for is due.</returns>
    public bool Hear(StageReport report)
    {
        if (Run is null || Run.Stages.All(s => s.Work.Name != report.Stage.Stage))
        {
            return false;
        }

        var before = heard.GetValueOrDefault(report.Stage.Stage);
        bool moved = before is null || before.Phase.GetType() != report.Phase.GetType() || before.Round != report.Round
            || before.Hold != report.Hold;
        heard[report.Stage.Stage] = report;
        News |= moved;
        return moved;
    }

    /// <summary>Asks the stages once how they are, so that who looks sees them before the first tick.</summary>
    public IEnumerable<RunEffect> Wake()
    {
        if (asked || Run is not { } run)
        {
            yield break;
        }

        var ask = new RunEffect.AskStages([.. run.Stages.Select(s => new StageId(run.Name, s.Work.Name))]);
        yield return ask;
        if (ask.Reports.IsDefault)
        {
            throw new InvalidOperationException("The host did not ask the stages.");
        }

        asked = true;
        // What a stage told meanwhile is newer than its answer.
        foreach (var report in ask.Reports.OfType<StageReport>().Where(r => !heard.ContainsKey(r.Stage.Stage)))
        {
            Hear(report);
        }
    }

    /// <summary>Begins the run, unless there is one of its name or checkpoints lie under it that are not adopted.</summary>
    public IEnumerable<RunEffect> Begin(RunSubmission submission, DateTimeOffset now, AskedOfRun answer)
    {
        if (Run is not null)
        {
            yield break;
        }

        var look = new RunEffect.LookAtFolders([.. submission.Pipeline.Stages.Select(s => new StageId(submission.Name, s.Name))]);
        yield return look;
        var found = look.Found.IsDefault ? [.. look.Stages.Select(_ => (Checkpoints.StageFolder?)null)] : look.Found;
        if (Adoption.Refusal(submission, found) is { } refusal)
        {
            answer.Refusal = refusal;
            yield break;
        }

        var write = new RunEffect.Write(RunCommands.Begin(submission, now, found));
        foreach (var effect in Persist(write))
        {
            yield return effect;
        }

        answer.Taken = !write.Lost;
        // Nothing of it was asked for before.
        asked = !write.Lost;
    }

    /// <summary>Takes a person's command, or says why not. Where a newer record is met it is weighed against that one.</summary>
    public IEnumerable<RunEffect> Command(Func<Run, ImmutableArray<StageReport?>, CommandDecision> weigh, AskedOfRun answer)
    {
        while (Run is { } run && !answer.Taken)
        {
            var decision = weigh(run, Reports);
            if (decision is CommandDecision.Refuse refused)
            {
                answer.Refusal = refused.Reason;
                yield break;
            }

            var write = new RunEffect.Write(((CommandDecision.Take)decision).Next);
            foreach (var effect in Persist(write))
            {
                yield return effect;
            }

            answer.Taken = !write.Lost;
        }
    }

    /// <summary>Turns until nothing moves any more. A run that has ended stays so without a look.</summary>
    public IEnumerable<RunEffect> Tick()
    {
        if (Run is null or { Phase.Terminal: true })
        {
            yield break;
        }

        foreach (var effect in Wake())
        {
            yield return effect;
        }

        for (int turn = 0; turn < TurnsPerTick && Run is { Phase.Terminal: false }; turn++)
        {
            foreach (var effect in Turn())
            {
                yield return effect;
            }

            if (!News)
            {
                yield break;
            }
        }
    }

    /// <summary>One turn. 1: look. 2: decide. 3: have the run written; a newer record wins. 4: tell the stages what is wanted.</summary>
    public IEnumerable<RunEffect> Turn()
    {
        if (Run is not { } run)
        {
            yield break;
        }

        var look = new RunEffect.LookAtClock();
        yield return look;
        var now = look.Now ?? throw new InvalidOperationException("The host did not look at the clock.");
        News = false;
        var decision = decide(run, Reports, now);
        if (!ReferenceEquals(decision.Next, run))
        {
            var write = new RunEffect.Write(decision.Next);
            foreach (var effect in Persist(write))
            {
                yield return effect;
            }

            if (write.Lost)
            {
                yield break;
            }
        }

        (DecidedAt, Reason) = (now, decision.Reason);
        foreach (var wish in decision.Wishes)
        {
            var want = new RunEffect.Want(wish);
            yield return want;
            Hear(want.Report ?? throw new InvalidOperationException("The host did not tell the stage."));
        }
    }

    private IEnumerable<RunEffect> Persist(RunEffect.Write write)
    {
        yield return write;
        if (!write.Answered)
        {
            throw new InvalidOperationException("The host did not write.");
        }

        (Run, News) = (write.OnDisk, true);
        Reason = write.Lost ? Run?.Reason ?? "" : Reason;
    }
}

/// <summary>What became of a submission or a command, once its effects are done. Neither: there is a run already, or none.</summary>
public sealed class AskedOfRun
{
    public bool Taken { get; internal set; }

    /// <summary>Why it was not. Null: it was not refused.</summary>
    public string? Refusal { get; internal set; }
}
