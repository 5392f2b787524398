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

    public SortedDictionary<string, int> RestartsByCause { get; } = new(StringComparer.Ordinal);
}

internal sealed partial class VirtualCluster
{
    private readonly Dictionary<(StageId Stage, int Attempt), TrainingJob> jobs = [];
    private readonly Dictionary<StageId, StageAccount> accounts = [];
    private int jobsMoved;

    public IEnumerable<TrainingJob> Jobs => jobs.Values;

    public IReadOnlyDictionary<StageId, StageAccount> Accounts => accounts;

    /// <summary>From each fault to the step after it.</summary>
    public List<TimeSpan> Recoveries { get; } = [];

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
        var job = JobOf(pod) ?? NewJob(pod, assignment);
        pod.Doing = RanksDo.Load;
        var load = Draw(timing.Load) + TimeSpan.FromSeconds(Math.Ceiling(job.FromStep > 0 ? job.Timing.DurableSeconds : 0));
        agenda.After(load, () => Loaded(pod, job));
        if (pod.Machine.GpuBad)
        {
            ExitRanks(pod, pod.Machine.Fault);
        }
    }

    private TrainingJob NewJob(VirtualPod pod, Assignment assignment)
    {
        var stage = assignment.Stage;
        ImmutableArray<NodeId> on = [.. gangs[pod.Gang].OrderBy(p => p.Index).Select(p => p.Node)];
        var gang = new GangGrant(stage, pod.Gang.Number, on, assignment.Ranks.Length, agenda.Now);
        long from = assignment.ResumeFrom?.Step ?? 0;
        long total = assignment.Pipeline.Stage(stage.Stage).Recipe.Length().Steps;
        // Earlier attempts matter no more once all their ranks are gone.
        foreach (var old in jobs.Where(j => j.Key.Stage == stage && j.Value.State is JobState.Broken or JobState.Done).ToList())
        {
            jobs.Remove(old.Key);
        }

        var account = AccountOf(stage);
        Ledger.Lose(account.Cause, Math.Max(0, account.Useful - account.UsefulAt[from]));
        account.Useful = Math.Min(account.Useful, account.UsefulAt[from]);
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
        };
        jobs.Add((stage, assignment.Attempt), job);
        jobsMoved++;
        return job;
    }

    private void Loaded(VirtualPod pod, TrainingJob job)
    {
        if (pod.Launched != job.Attempt || pod.Doing != RanksDo.Load || !pod.Alive || pod.Hung)
        {
            return;
        }

        bool first = pod.Node == job.Gang.Nodes[0];
        if (first && job.FromStep > 0 && random.NextDouble() < RefusalChance)
        {
            LastFault[pod.Stage] = agenda.Now;
            Blame(pod.Stage, "checkpoint refused");
            pod.Tell(new RefusedCheckpoint(PathOf(job.Stage, job.FromStep), "its digest does not match"));
            (pod.Doing, pod.ExitCode, pod.Error) = (RanksDo.Exited, 1, "its checkpoint was refused");
            return;
        }

        pod.Doing = RanksDo.Train;
        var all = gangs[pod.Gang];
        if (job.State == JobState.Loading && all.Count == job.Gang.Nodes.Length
            && all.TrueForAll(p => p.Alive && !p.Hung && p.Launched == job.Attempt && p.Doing == RanksDo.Train))
        {
            var account = AccountOf(job.Stage);
            if (account.StruckAt is { } struck)
            {
                Recoveries.Add(agenda.Now - struck);
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
