using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// What training says to the agent of its node and hears from it. Reports return at once and never fail: a rank whose agent is gone
/// is ended, it does not see an exception. Attempt and time of arrival are the agent's to fill in.
/// </summary>
public interface IRankLink
{
    void Report(RankReport report);

    /// <summary>The reason of an order to save a checkpoint, once per order; null where there is none. Ask at each step boundary.</summary>
    string? TakeSaveOrder();

    /// <summary>
    /// A fault to inject from the next step on, once; null where there is none. Obeyed only where the launch allows faults.
    /// </summary>
    RankFault? TakeFault();

    /// <summary>The newest order to record steps, which stays; of the present launch. Null: there was none.</summary>
    TraceOrder? Trace => null;

    /// <summary>Steps of checkpoints that retention leaves alone, as last told. Null: as the assignment says.</summary>
    IReadOnlyList<long>? Pinned { get; }

    /// <summary>
    /// Set when the rank has to end at the next step boundary, with a checkpoint where <see cref="RankStop.Save"/> says so.
    /// </summary>
    RankStop? StopOrder { get; }

    /// <summary>
    /// Cancelled together with <see cref="StopOrder"/>, for long work between two steps: loading, a rollout, an evaluation.
    /// </summary>
    CancellationToken Stopping { get; }

    /// <summary>Cancelled when the rank is to leave its gang, for another launch; of the present launch.</summary>
    CancellationToken Regrouping { get; }
}

/// <summary>The reports by name.</summary>
public static class RankReports
{
    /// <summary>As often as an agent beats.</summary>
    private static readonly TimeSpan PulseEvery = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The agent measures silence from the last report, so say something at least every few seconds of long work. The first
    /// TRAINING means that model and checkpoint are restored; the first sample ends the launch.
    /// </summary>
    /// <param name="step">Last finished step.</param>
    public static void Progress(this IRankLink link, RankState state, string phase, long step) =>
        link.Report(new RankReport { Progress = new RankProgress { State = state, Phase = phase, Step = step } });

    /// <summary>
    /// What long work between two steps (a rollout, an evaluation) calls at each small piece of it: a rank that samples for minutes is not
    /// one that hangs. Tells the progress at once, then once a second at most.
    /// </summary>
    /// <returns>Throws <see cref="OperationCanceledException"/> where the rank is to stop.</returns>
    public static Action Pulse(this IRankLink link, string phase, long step, TimeProvider? clock = null)
    {
        clock ??= TimeProvider.System;
        link.Progress(RankState.Training, phase, step);
        long told = clock.GetTimestamp();
        return () =>
        {
            link.Stopping.ThrowIfCancellationRequested();
            if (clock.GetElapsedTime(told) >= PulseEvery)
            {
                link.Progress(RankState.Training, phase, step);
                told = clock.GetTimestamp();
            }
        };
    }

    public static void Sample(this IRankLink link, StepSample sample) => link.Report(new RankReport { Sample = sample });

    /// <summary>Only once the checkpoint is durable: written aside, synced and renamed.</summary>
    public static void Checkpoint(this IRankLink link, CheckpointReport checkpoint) =>
        link.Report(new RankReport { Checkpoint = checkpoint });

    public static void Evaluation(this IRankLink link, EvaluationReport evaluation) =>
        link.Report(new RankReport { Evaluation = evaluation });

    public static void ExpertLoad(this IRankLink link, ExpertLoadReport load) => link.Report(new RankReport { ExpertLoad = load });

    /// <summary>A line for the run's timeline.</summary>
    public static void Note(this IRankLink link, string text) => link.Note(text, "");

    /// <param name="fullDisk">The file system that had no room for a save; empty: it is about something else.</param>
    public static void Note(this IRankLink link, string text, string fullDisk) =>
        link.Report(new RankReport { Note = new WorkerNote { Text = text, FullDisk = fullDisk } });

    /// <param name="store">The checkpoint store that copies cannot be brought to.</param>
    public static void StoreAway(this IRankLink link, string text, string store) =>
        link.Report(new RankReport { Note = new WorkerNote { Text = text, StoreAway = store } });

    /// <summary>Only once the copy is whole.</summary>
    public static void Stored(this IRankLink link, StoredCheckpoint stored) => link.Report(new RankReport { Stored = stored });

    /// <summary>A checkpoint that must not be used again.</summary>
    /// <param name="digest">Empty: not known.</param>
    public static void Refused(this IRankLink link, string path, string reason, string digest) =>
        link.Report(new RankReport { Refused = new RefusedCheckpoint { Path = path, Reason = reason, Digest = digest } });

    /// <summary>What the launch goes on from; null: it begins at step 0. Before anything is trained.</summary>
    public static void Resumed(this IRankLink link, CheckpointReport? from) =>
        link.Report(new RankReport { Resumed = new ResumedFrom { Checkpoint = from } });

    /// <summary>The stage's last step is done and its final checkpoint reported.</summary>
    public static void Done(this IRankLink link, long step) => link.Report(new RankReport { Done = new RankDone { Step = step } });
}
