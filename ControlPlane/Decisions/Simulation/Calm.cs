using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>
/// Whether time alone changes nothing: every gang that is held is well and gets on by itself, and who waits for nodes waits for
/// something to happen. Ticks in such a time would decide to stay, again and again, and are left out.
/// </summary>
internal static class Calm
{
    public static bool Is(VirtualCluster cluster, VirtualControlPlane controlPlane) =>
        controlPlane.Stages.Values.Where(s => !s.Phase.Terminal).All(stage => stage.Phase switch
        {
            Phase.Queued => true,
            // Room that has to last is looked at until it has.
            Phase.Running { Save: null } running => stage.Shrunk?.RoomSince is null
                && Well(cluster, stage, running.Gang, JobState.Training, JobState.Saving),
            Phase.Starting starting => Well(cluster, stage, starting.Gang, JobState.Loading),
            Phase.Restarting restarting => Well(cluster, stage, restarting.Gang, JobState.Loading),
            _ => false,
        });

    /// <summary>What a beat has told is written by then: the acknowledgement may come with any later beat.</summary>
    private static bool Well(VirtualCluster cluster, Stage stage, GangGrant gang, params ReadOnlySpan<JobState> expected)
    {
        bool waiting = false;
        foreach (var pod in cluster.PodsOf(gang))
        {
            var job = cluster.JobOf(pod);
            bool starts = pod.Phase == PodPhase.Pending && expected.Contains(JobState.Loading);
            bool works = pod.Alive && !pod.Hung && pod.Doing is RanksDo.Load or RanksDo.Train && pod.Launched == stage.Attempt
                && job is not null && expected.Contains(job.State) && !pod.HasNews;
            if (!pod.Machine.Up || !(starts || works))
            {
                return false;
            }

            waiting = true;
        }

        return waiting;
    }
}
