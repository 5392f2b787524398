using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

internal sealed partial class VirtualCluster
{
    /// <summary>Everything since the last acknowledged beat, as an agent of the worker tells it.</summary>
    public AgentBeat BeatOf(VirtualPod pod)
    {
        var job = JobOf(pod);
        job?.Advance(agenda.Now);
        pod.Sequence++;
        for (int i = 0; i < pod.Untold.Count; i++)
        {
            var (sequence, made, refused) = pod.Untold[i];
            pod.Untold[i] = (sequence == 0 ? pod.Sequence : sequence, made, refused);
        }

        var sample = SampleOf(pod, job);
        pod.Sampled = sample is null ? pod.Sampled : (sample.Attempt, sample.Step);
        return new AgentBeat(pod.Node, pod.AgentId, pod.Stage, Math.Max(pod.Gang.Number, pod.Launched), pod.Sequence, RanksOf(pod, job),
            sample is null ? [] : [sample], pod.Made, [], [], ImmutableDictionary<string, double>.Empty, pod.Refused, []);
    }

    public void Obey(VirtualPod pod, WorkerReply reply)
    {
        if (!pod.Alive)
        {
            return;
        }

        pod.Untold.RemoveAll(u => u.Sequence != 0 && u.Sequence <= reply.Acknowledged);
        switch (reply.Order)
        {
            case WorkerOrder.Continue:
                break;
            case WorkerOrder.Start start:
                LaunchNew(pod, start.Assignment);
                break;
            case WorkerOrder.RestartRanks restart:
                LaunchNew(pod, restart.Assignment);
                break;
            case WorkerOrder.RollBack back:
                LaunchNew(pod, back.Assignment);
                break;
            case WorkerOrder.SaveCheckpoint when JobOf(pod) is { } job && pod.Node == job.Gang.Nodes[0]:
                SaveSoon(job);
                break;
            case WorkerOrder.SaveCheckpoint:
                break;
            case WorkerOrder.Stop { SaveWithin: not null } when JobOf(pod) is { State: JobState.Training or JobState.Saving } job:
                if (!job.StopsAfterSave)
                {
                    job.StopsAfterSave = true;
                    SaveSoon(job);
                }

                break;
            case WorkerOrder.Stop:
                End(pod, 0, "ended by order");
                break;
            default:
                throw new UnreachableException($"order {reply.Order}");
        }
    }

    private void LaunchNew(VirtualPod pod, Assignment assignment)
    {
        if (assignment.Attempt > pod.Launched)
        {
            Launch(pod, assignment);
        }
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

    private ImmutableArray<RankSeen> RanksOf(VirtualPod pod, TrainingJob? job)
    {
        if (job is null || pod.Ranks == RanksDo.Nothing)
        {
            return [];
        }

        var state = StateOf(pod, job);
        var since = agenda.Now - (state == RankState.Starting ? pod.LaunchedAt : job.ProgressAt);
        int node = pod.Index;
        var ranks = ImmutableArray.CreateBuilder<RankSeen>(job.Gang.SlotsPerNode);
        for (int local = 0; local < job.Gang.SlotsPerNode; local++)
        {
            ranks.Add(new RankSeen((node * job.Gang.SlotsPerNode) + local, 0, state, job.Attempt, job.Step, "", since,
                state == RankState.Exited ? pod.ExitCode : null, pod.Error, pod.Hung ? job.Step : job.Step + 1)
            {
                Broke = pod.Broke,
            });
        }

        return ranks.MoveToImmutable();
    }

    private static RankState StateOf(VirtualPod pod, TrainingJob job) => (pod.Ranks, job.State) switch
    {
        (RanksDo.Exited, _) => RankState.Exited,
        (RanksDo.Load, _) or (_, JobState.Loading) => RankState.Starting,
        (_, JobState.Saving) => RankState.Saving,
        (_, JobState.Done) => RankState.Done,
        // What stands still in a collective looks as if it trained, but for the time since its last step.
        _ => RankState.Training,
    };
}
