using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

internal enum JobState
{
    Loading = 0,
    Training = 1,
    /// <summary>Stands still while a checkpoint is copied.</summary>
    Saving = 2,
    /// <summary>A rank is gone or stuck: no collective ends any more.</summary>
    Broken = 3,
    Done = 4,
}

/// <summary>All ranks of one attempt: they step together or not at all.</summary>
internal sealed class TrainingJob(StageId stage, GangGrant gang, int attempt, long fromStep, long totalSteps, StageTiming timing)
{
    private readonly List<DateTimeOffset> stepEnds = [];
    private long blockFrom;

    public StageId Stage { get; } = stage;

    /// <summary>One that takes a node in has its place once that one's ranks are launched.</summary>
    public GangGrant Gang { get; set; } = gang;

    public int Attempt { get; } = attempt;

    public long FromStep { get; } = fromStep;

    public long TotalSteps { get; } = totalSteps;

    public StageTiming Timing { get; } = timing;

    /// <summary>Numbers of the batches that it was told to leave out.</summary>
    public ImmutableArray<long> LeftOut { get; init; } = [];

    /// <summary>Of the whole layout's pace.</summary>
    public double Rate { get; init; } = 1;

    /// <summary>Ranks that it was laid out for.</summary>
    public int World { get; init; }

    /// <summary>What its ranks were told to train.</summary>
    public Recipes.PipelineSpec? Pipeline { get; init; }

    public JobState State { get; set; }

    /// <summary>The last step that is done and told; within a block of steps ask <see cref="StepAt"/>.</summary>
    public long Step { get; private set; } = fromStep;

    public DateTimeOffset ProgressAt { get; set; }

    public double LastStepSeconds { get; private set; }

    /// <summary>Grows with every change of course: what was scheduled before it does not happen.</summary>
    public int Course { get; set; }

    /// <summary>When a rank of it was lost, or it was ended.</summary>
    public DateTimeOffset BrokenAt { get; set; }

    /// <summary>It goes on from states that were in memory.</summary>
    public bool FromMemory { get; init; }

    /// <summary>Of the checkpoint that its launch named; 0: none.</summary>
    public long CheckpointStep { get; init; }

    /// <summary>From the launch until its ranks have loaded, where they stay in their places. Null: each takes its own time.</summary>
    public TimeSpan? LoadsFor { get; set; }

    /// <summary>
    /// The newest step whose states its agents hold, and since when its ranks have worked for what comes after it. The copy of a step takes
    /// as long as training stands still for a save; who is lost meanwhile leaves the step before.
    /// </summary>
    public (long Step, DateTimeOffset Until) Kept => ProgressAt == default ? (FromStep, BrokenAt)
        : BrokenAt - ProgressAt >= TimeSpan.FromSeconds(Timing.StallSeconds) || Step == FromStep ? (Step, ProgressAt)
        : (Step - 1, ProgressAt - TimeSpan.FromSeconds(LastStepSeconds));

    /// <summary>It saves and then ends.</summary>
    public bool StopsAfterSave { get; set; }

    /// <summary>Steps up to the next checkpoint, each with its own time.</summary>
    /// <returns>When the last of them ends.</returns>
    public DateTimeOffset BeginBlock(DateTimeOffset now, Random random, StepNoise noise)
    {
        State = JobState.Training;
        Course++;
        long target = Math.Min(TotalSteps, ((Step / Timing.CheckpointEvery) + 1) * Timing.CheckpointEvery);
        (blockFrom, ProgressAt) = (Step, now);
        stepEnds.Clear();
        var at = now;
        for (long step = Step; step < target; step++)
        {
            double seconds = Timing.StepSeconds / Rate * noise.Draw(random);
            at += Agenda.Round(Math.Max(seconds, 1.0 / 128));
            stepEnds.Add(at);
        }

        return at;
    }

    public long BatchOf(long step) => BatchOrder.BatchOf(step, LeftOut);

    /// <summary>The first step of the block that takes one of these batches, and when it ends.</summary>
    public (long Step, DateTimeOffset Ends)? FirstOf(IReadOnlySet<long> batches)
    {
        for (int i = 0; i < stepEnds.Count && batches.Count > 0; i++)
        {
            long step = blockFrom + i + 1;
            if (step > Step && batches.Contains(BatchOf(step)))
            {
                return (step, stepEnds[i]);
            }
        }

        return null;
    }

    /// <summary>Ends the block after the step that is under way, to save there.</summary>
    /// <returns>When that step ends.</returns>
    public DateTimeOffset CutBlock(DateTimeOffset now)
    {
        Course++;
        int ends = stepEnds.FindIndex(end => end > now);
        stepEnds.RemoveRange(ends + 1, stepEnds.Count - ends - 1);
        return stepEnds[ends];
    }

    /// <summary>Takes over what was done by now.</summary>
    public void Advance(DateTimeOffset now)
    {
        if (State != JobState.Training)
        {
            return;
        }

        int done = stepEnds.BinarySearch(now);
        done = done >= 0 ? done + 1 : ~done;
        if (done > 0 && blockFrom + done > Step)
        {
            Step = blockFrom + done;
            LastStepSeconds =
                (stepEnds[done - 1]
                    - (done > 1 ? stepEnds[done - 2] : stepEnds[0] - TimeSpan.FromSeconds(Timing.StepSeconds / Rate))).TotalSeconds;
            ProgressAt = stepEnds[done - 1];
        }
    }
}
