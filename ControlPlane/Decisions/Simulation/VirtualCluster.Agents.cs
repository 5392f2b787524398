using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Simulation;

internal sealed partial class VirtualCluster
{
    /// <summary>Everything since the last acknowledged beat, and the newest sample.</summary>
    public AgentBeat BeatOf(VirtualPod pod)
    {
        var job = JobOf(pod);
        job?.Advance(agenda.Now);
        var sample = SampleOf(pod, job);
        pod.Sampled = sample is null ? pod.Sampled : (sample.Attempt, sample.Step);
        return pod.Beat(sample);
    }

    /// <summary>Of those who are asked the gang's first node saves; all of it ends once it is saved for an end.</summary>
    public void SaveFor(VirtualPod pod, bool thenStop)
    {
        if (JobOf(pod) is not { } job || (!thenStop && pod.Node != job.Gang.Nodes[0]) || (thenStop && job.StopsAfterSave))
        {
            return;
        }

        job.StopsAfterSave |= thenStop;
        SaveSoon(job);
    }

    private StepSample? SampleOf(VirtualPod pod, TrainingJob? job)
    {
        if (job is null || pod.Node != job.Gang.Nodes[0] || job.Step <= job.FromStep || pod.Sampled == (job.Attempt, job.Step))
        {
            return null;
        }

        long tokens = (long)(job.Step * job.Timing.TokensPerStep);
        return new StepSample(job.Step, job.ProgressAt, "", StageTiming.LossAt(activeParameters, tokens), 0, 0, tokens, job.LastStepSeconds,
            job.Attempt, ImmutableDictionary<string, double>.Empty);
    }

    public ImmutableArray<RankStatus> RanksOf(VirtualPod pod)
    {
        if (JobOf(pod) is not { } job || pod.Doing == RanksDo.Nothing)
        {
            return [];
        }

        var state = StateOf(pod, job);
        var since = agenda.Now - (state == RankState.Starting ? pod.LaunchedAt : job.ProgressAt);
        int node = pod.Index;
        // As a rank tells it: while it has not restored, of what it goes on from it knows only the checkpoint.
        bool restored = state is not RankState.Starting && pod.Restored == job.Attempt;
        long step = restored || !job.FromMemory ? job.Step : job.CheckpointStep;
        var ranks = ImmutableArray.CreateBuilder<RankStatus>(job.Gang.SlotsPerNode);
        for (int local = 0; local < job.Gang.SlotsPerNode; local++)
        {
            ranks.Add(new RankStatus((node * job.Gang.SlotsPerNode) + local, 0, state, job.Attempt, step, "", since,
                state == RankState.Exited ? pod.ExitCode : null, pod.Error, pod.Hung ? step : step + 1)
            {
                Broke = pod.Broke, BeganAt = restored ? job.FromStep : null,
            });
        }

        return ranks.MoveToImmutable();
    }

    private static RankState StateOf(VirtualPod pod, TrainingJob job) => (pod.Doing, job.State) switch
    {
        (RanksDo.Exited, _) => RankState.Exited,
        (RanksDo.Load, _) or (_, JobState.Loading) => RankState.Starting,
        (_, JobState.Saving) => RankState.Saving,
        (_, JobState.Done) => RankState.Done,
        // What stands still in a collective looks as if it trained, but for the time since its last step.
        _ => RankState.Training,
    };
}
