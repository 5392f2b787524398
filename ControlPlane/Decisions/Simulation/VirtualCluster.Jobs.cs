using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>What a stage's GPU time was good for so far.</summary>
internal sealed class StageAccount
{
    /// <summary>GPU-ticks of training that still count.</summary>
    public long Useful { get; set; }

    /// <summary>…when the copy of each step's checkpoint was taken.</summary>
    public Dictionary<long, long> UsefulAt { get; } = new() { [0] = 0 };

    /// <summary>The fault that is being recovered from; empty: none.</summary>
    public string Cause { get; set; } = "";

    /// <summary>When it struck; null: nothing is being recovered from.</summary>
    public DateTimeOffset? StruckAt { get; set; }

    /// <summary>GPUs whose time was good for something when it was entered last.</summary>
    public int Slots { get; set; }

    public SortedDictionary<string, int> RestartsByCause { get; } = new(StringComparer.Ordinal);
}

/// <param name="Took">From the fault until a step begins again.</param>
/// <param name="InMemory">In place, from what the agents hold; else from a checkpoint.</param>
internal readonly record struct Recovered(TimeSpan Took, bool InMemory);

internal sealed partial class VirtualCluster
{
    private readonly Dictionary<(StageId Stage, int Attempt), TrainingJob> jobs = [];
    private readonly Dictionary<StageId, StageAccount> accounts = [];
    private int jobsMoved;

    public IEnumerable<TrainingJob> Jobs => jobs.Values;

    public IReadOnlyDictionary<StageId, StageAccount> Accounts => accounts;

    public List<Recovered> Recoveries { get; } = [];

    /// <summary>Chance that a checkpoint is refused when it is loaded.</summary>
    public double RefusalChance { get; init; }

    public StageAccount AccountOf(StageId stage) =>
        accounts.TryGetValue(stage, out var known) ? known : accounts[stage] = new StageAccount();

    /// <summary>Asked of each pod several times a tick, and found anew only once jobs have come or gone.</summary>
    public TrainingJob? JobOf(VirtualPod pod)
    {
        if (pod.Found.Launched != pod.Launched || pod.Found.Jobs != jobsMoved)
        {
            pod.Found = (pod.Launched, jobsMoved, jobs.GetValueOrDefault((pod.Stage, pod.Launched)));
        }

        return pod.Found.Job;
    }

    public void Launch(VirtualPod pod, Assignment assignment, Assignment? before)
    {
        BreakJob(jobs.GetValueOrDefault((pod.Stage, before?.Attempt ?? 0)), "");
        (pod.LaunchedAt, pod.Hung, pod.Error, pod.Broke) = (agenda.Now, false, "", null);
        pod.Index = assignment.Ranks[0].Rank / assignment.Ranks.Length;
        var job = JobOf(pod) ?? NewJob(pod, assignment, before);
        if (before is null)
        {
            job.Gang = job.Gang with { Nodes = NodesOf(pod.Gang) };
        }
        else if (job.Timing.InPlace is { } budget)
        {
            job.LoadsFor ??= Agenda.Round(budget.BesideDeciding(random.NextDouble));
        }

        pod.Doing = RanksDo.Load;
        double read = job.FromStep > 0 && !job.FromMemory ? job.Timing.DurableSeconds : 0;
        // Whose processes are new takes as long as in a new gang, however long the others take.
        var loads = before is null ? null : job.LoadsFor;
        agenda.After((loads ?? Draw(timing.Load)) + TimeSpan.FromSeconds(Math.Ceiling(read)), () => Loaded(pod, job));
        if (pod.Machine.GpuBad)
        {
            ExitRanks(pod, pod.Machine.Fault);
        }
    }

    private TrainingJob NewJob(VirtualPod pod, Assignment assignment, Assignment? before)
    {
        var stage = assignment.Stage;
        var kept = KeptFor(pod, assignment, before);
        var gang = new GangGrant(stage, pod.Gang.Number, NodesOf(pod.Gang), assignment.Ranks.Length, agenda.Now);
        long from = kept?.Step ?? assignment.ResumeFrom?.Step ?? 0;
        long total = assignment.Pipeline.Stage(stage.Stage).Recipe.Length().Steps;
        // Earlier attempts matter no more once all their ranks are gone.
        foreach (var old in jobs.Where(j => j.Key.Stage == stage && j.Value.State is JobState.Broken or JobState.Done).ToList())
        {
            jobs.Remove(old.Key);
        }

        var account = AccountOf(stage);
        long useful = kept is { } held ? account.Useful - held.Since : account.UsefulAt[from];
        Ledger.Lose(account.Cause, Math.Max(0, account.Useful - useful));
        account.Useful = Math.Min(account.Useful, useful);
        if (assignment.Attempt > 1)
        {
            string cause = account.Cause.Length > 0 ? account.Cause : "by order";
            account.RestartsByCause[cause] = account.RestartsByCause.GetValueOrDefault(cause) + 1;
        }

        var job = new TrainingJob(stage, gang, assignment.Attempt, from, total, stageTiming(stage))
        {
            LeftOut = assignment.LeftOut,
            Rate = assignment.Rate,
            World = assignment.WorldSize,
            Pipeline = assignment.LaidOut,
            FromMemory = kept is not null,
            CheckpointStep = assignment.ResumeFrom?.Step ?? 0,
        };
        jobs.Add((stage, assignment.Attempt), job);
        jobsMoved++;
        return job;
    }

    /// <summary>In rank order, as far as its pods were told their places.</summary>
    private ImmutableArray<NodeId> NodesOf(GangId gang) => [.. gangs[gang].OrderBy(p => p.Index).Select(p => p.Node)];

    /// <summary>
    /// What the gang goes on from, where it stays in its places and all that decides its numbers is what it was: as our agents hold it
    /// (docs/decisions/0033). Since: GPU-ticks of what comes after that step. Null: from a checkpoint.
    /// </summary>
    private (long Step, long Since)? KeptFor(VirtualPod pod, Assignment assignment, Assignment? before)
    {
        if (before is null || !stageTiming(assignment.Stage).InMemory
            || jobs.GetValueOrDefault((pod.Stage, before.Attempt)) is not { State: JobState.Broken } old
            || !before.LeftOut.SequenceEqual(assignment.LeftOut) || !before.LossActs.SequenceEqual(assignment.LossActs)
            || before.RoundBegan != assignment.RoundBegan || (before.Shrunk != assignment.Shrunk && !assignment.StatesFit)
            || !HasAll(gangs[pod.Gang].FindAll(p => p.Alive && p.Launched >= before.Attempt), assignment, before))
        {
            return null;
        }

        var (step, until) = old.Kept;
        long since = Math.Max(0, (old.BrokenAt - until).Ticks) * AccountOf(pod.Stage).Slots;
        return step > (assignment.ResumeFrom?.Step ?? 0) ? (step, since) : null;
    }

    /// <summary>These pods' ranks hold all that the gang is to go on from: also what those that have come to it lack.</summary>
    private static bool HasAll(List<VirtualPod> have, Assignment assignment, Assignment before)
    {
        int nodes = assignment.WorldSize / assignment.Ranks.Length;
        if (have.Count >= nodes)
        {
            return true;
        }

        var stage = assignment.LaidOut.Stage(assignment.Stage.Stage);
        var layout = assignment.LaidOut.ParallelismOf(stage);
        return before.WorldSize == assignment.WorldSize && layout.Zero == 0 && stage.Recipe.ReplicasAreAlike
            && GangSeats.HeldElsewhere(layout, nodes, assignment.Ranks.Length,
                Enumerable.Range(0, nodes).Except(have.Select(p => p.Index)).ToHashSet());
    }

    private void Loaded(VirtualPod pod, TrainingJob job)
    {
        if (pod.Launched != job.Attempt || pod.Doing != RanksDo.Load || !pod.Alive || pod.Hung)
        {
            return;
        }

        bool first = pod.Node == job.Gang.Nodes[0];
        if (first && job.FromStep > 0 && !job.FromMemory && random.NextDouble() < RefusalChance)
        {
            LastFault[pod.Stage] = agenda.Now;
            Blame(pod.Stage, "checkpoint refused");
            pod.Tell(new RefusedCheckpoint(PathOf(job.Stage, job.FromStep), "its digest does not match"));
            (pod.Doing, pod.ExitCode, pod.Error) = (RanksDo.Exited, 1, "its checkpoint was refused");
            return;
        }

        if (first && job.FromMemory)
        {
            pod.Tell(new ResumedFrom(job.Attempt, null) { KeptStep = job.FromStep });
        }

        (pod.Doing, pod.Restored) = (RanksDo.Train, job.Attempt);
        var all = gangs[pod.Gang];
        if (job.State == JobState.Loading && all.Count * job.Gang.SlotsPerNode == job.World
            && all.TrueForAll(p => p.Alive && !p.Hung && p.Launched == job.Attempt && p.Doing == RanksDo.Train))
        {
            var account = AccountOf(job.Stage);
            if (account.StruckAt is { } struck)
            {
                Recoveries.Add(new Recovered(agenda.Now - struck, job.FromMemory));
            }

            (account.Cause, account.StruckAt) = ("", null);
            Train(job);
        }
    }

    private void Train(TrainingJob job) => ScheduleSave(job, job.BeginBlock(agenda.Now, random, timing.StepNoise));

    private void ScheduleSave(TrainingJob job, DateTimeOffset at)
    {
        int course = job.Course;
        if (job.FirstOf(BadBatches(job.Stage)) is var (bad, ends))
        {
            // Entered before the save: where both come due, the numbers break first.
            agenda.At(ends, () =>
            {
                if (job.Course == course)
                {
                    BreakNumbers(job, bad);
                }
            });
        }

        agenda.At(at, () =>
        {
            if (job.Course == course)
            {
                Save(job);
            }
        });
    }

    private void Save(TrainingJob job)
    {
        job.Advance(agenda.Now);
        job.State = JobState.Saving;
        int course = ++job.Course;
        long step = job.Step;
        AccountOf(job.Stage).UsefulAt[step] = AccountOf(job.Stage).Useful;
        var stall = Agenda.Round(job.Timing.StallSeconds);
        var lag = Agenda.Round(Math.Max(job.Timing.StallSeconds, job.Timing.DurableSeconds));
        bool last = step == job.TotalSteps;
        if (!last && !job.StopsAfterSave)
        {
            agenda.After(stall, () =>
            {
                if (job.Course == course)
                {
                    Train(job);
                }
            });
        }

        agenda.After(lag, () => Durable(job, step, stall, lag, last));
    }

    private void Durable(TrainingJob job, long step, TimeSpan stall, TimeSpan lag, bool last)
    {
        if (job.State == JobState.Broken || PodsOf(job).FirstOrDefault(p => p.Node == job.Gang.Nodes[0]) is not { } first)
        {
            return;
        }

        long tokens = (long)(step * job.Timing.TokensPerStep);
        first.Tell(new CheckpointMade(step, PathOf(job.Stage, step), (long)job.Timing.CheckpointBytes, "", tokens,
            StageTiming.LossAt(activeParameters, tokens), "", stall, lag, agenda.Now, job.Attempt, last));
        if (last)
        {
            job.State = JobState.Done;
        }
        else if (job.StopsAfterSave)
        {
            foreach (var pod in PodsOf(job).ToList())
            {
                End(pod, 0, "saved and ended by order");
            }
        }
    }

    /// <summary>Saves after the step that is under way.</summary>
    private void SaveSoon(TrainingJob job)
    {
        job.Advance(agenda.Now);
        if (job.State == JobState.Training)
        {
            ScheduleSave(job, job.CutBlock(agenda.Now));
        }
    }

    private void BreakJobOf(VirtualPod pod, string cause)
    {
        if (cause.Length > 0)
        {
            LastFault[pod.Stage] = agenda.Now;
        }

        BreakJob(JobOf(pod), cause);
    }

    private void BreakJob(TrainingJob? job, string cause)
    {
        if (job is not { State: not JobState.Done })
        {
            return;
        }

        job.Advance(agenda.Now);
        job.BrokenAt = job.State == JobState.Broken ? job.BrokenAt : agenda.Now;
        job.State = JobState.Broken;
        job.Course++;
        if (cause.Length > 0)
        {
            Blame(job.Stage, cause);
        }
    }

    /// <summary>A second fault during a recovery takes over; the time counts from the first.</summary>
    private void Blame(StageId stage, string cause)
    {
        var account = AccountOf(stage);
        (account.Cause, account.StruckAt) = (cause, account.StruckAt ?? agenda.Now);
    }

    private IEnumerable<VirtualPod> PodsOf(TrainingJob job) =>
        gangs.TryGetValue(job.Gang.Id, out var pods) ? pods.Where(p => p.Launched == job.Attempt) : [];

    private static string PathOf(StageId stage, long step) => $"{stage}/step-{step:00000000}";
}
