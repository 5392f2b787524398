using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// What ranks reported and the control plane has not acknowledged yet. Bounded: past <paramref name="sampleLimit"/> samples every
/// second one is left out, and from then on only as many are kept, so that a long absence leaves a coarser curve and no hole.
/// Loads of experts are thinned alike. Checkpoints and evaluations are few and are never dropped.
/// </summary>
/// <param name="sampleLimit">About 300 bytes each. Default: 40,000, two hours of five steps a second.</param>
public sealed class ReportBuffer(int sampleLimit = 40_000)
{
    /// <summary>About 300 kB of a message whose limit is 4 MB.</summary>
    public const int SamplesPerBeat = 1_000;

    /// <summary>60 kB each for V3's 59 rows of 256 experts.</summary>
    private const int LoadsPerBeat = 8;

    /// <summary>One with all of its spans is 1 MB at most.</summary>
    private const int TracesPerBeat = 8;

    private const int LoadLimit = 128;
    private const int OthersPerBeat = 200;
    private const int NoteLimit = 1_000;

    private readonly Outbox<StepSample> _samples = new();
    private readonly Outbox<CheckpointReport> _checkpoints = new();
    private readonly Outbox<EvaluationReport> _evaluations = new();
    private readonly Outbox<ExpertLoadReport> _loads = new();
    private readonly Outbox<WorkerNote> _notes = new();
    private readonly Outbox<RefusedCheckpoint> _refused = new();
    private readonly Outbox<ResumedFrom> _resumed = new();
    private readonly Outbox<LocalRestart> _restarts = new();
    private readonly Outbox<RankTrace> _traces = new();
    private readonly Outbox<CheckpointRead> _reads = new();
    private readonly Outbox<StoredCheckpoint> _stored = new();
    private int _stride = 1;
    private int _skipped;

    private (int Attempt, long Step)? _newest;

    public int Samples => _samples.Count;

    /// <summary>Every sample before this one was taken in and acknowledged. Null: there was none.</summary>
    public (int Attempt, long Step)? ToldBefore =>
        _samples.Oldest is { } waits ? (waits.Attempt, waits.Step) : _newest is { } newest ? newest with { Step = newest.Step + 1 } : null;

    /// <summary>Everything that no reply has acknowledged yet.</summary>
    public int Count => _samples.Count + _checkpoints.Count + _evaluations.Count + _loads.Count + _notes.Count + _refused.Count
        + _resumed.Count + _restarts.Count + _traces.Count + _reads.Count + _stored.Count;

    public bool Empty => Count == 0;

    public void Add(StepSample sample)
    {
        _newest = (sample.Attempt, sample.Step);
        _skipped++;
        if (_skipped < _stride)
        {
            return;
        }

        _skipped = 0;
        _samples.Add(sample);
        if (_samples.Count > sampleLimit)
        {
            _samples.Thin();
            _stride *= 2;
        }
    }

    public void Add(CheckpointReport checkpoint) => _checkpoints.Add(checkpoint);

    public void Add(EvaluationReport evaluation) => _evaluations.Add(evaluation);

    public void Add(ExpertLoadReport load)
    {
        _loads.Add(load);
        if (_loads.Count > LoadLimit)
        {
            _loads.Thin();
        }
    }

    public void Add(RefusedCheckpoint refused) => _refused.Add(refused);

    public void Add(ResumedFrom resumed) => _resumed.Add(resumed);

    public void Add(LocalRestart restart) => _restarts.Add(restart);

    public void Add(RankTrace trace) => _traces.Add(trace);

    public void Add(CheckpointRead read) => _reads.Add(read);

    public void Add(StoredCheckpoint stored) => _stored.Add(stored);

    public void Add(WorkerNote note)
    {
        _notes.Add(note);
        if (_notes.Count > NoteLimit)
        {
            _notes.RemoveOldest(1);
        }
    }

    public void Fill(HeartbeatRequest beat)
    {
        beat.Samples.AddRange(_samples.Take(beat.Sequence, SamplesPerBeat));
        beat.Checkpoints.AddRange(_checkpoints.Take(beat.Sequence, OthersPerBeat));
        beat.Evaluations.AddRange(_evaluations.Take(beat.Sequence, OthersPerBeat));
        beat.ExpertLoads.AddRange(_loads.Take(beat.Sequence, LoadsPerBeat));
        beat.Notes.AddRange(_notes.Take(beat.Sequence, OthersPerBeat));
        beat.RefusedCheckpoints.AddRange(_refused.Take(beat.Sequence, OthersPerBeat));
        beat.Resumed.AddRange(_resumed.Take(beat.Sequence, OthersPerBeat));
        beat.LocalRestarts.AddRange(_restarts.Take(beat.Sequence, OthersPerBeat));
        beat.Traces.AddRange(_traces.Take(beat.Sequence, TracesPerBeat));
        beat.Reads.AddRange(_reads.Take(beat.Sequence, OthersPerBeat));
        beat.StoredCheckpoints.AddRange(_stored.Take(beat.Sequence, OthersPerBeat));
    }

    public void Acknowledge(long sequence)
    {
        _samples.Acknowledge(sequence);
        _checkpoints.Acknowledge(sequence);
        _evaluations.Acknowledge(sequence);
        _loads.Acknowledge(sequence);
        _notes.Acknowledge(sequence);
        _refused.Acknowledge(sequence);
        _resumed.Acknowledge(sequence);
        _restarts.Acknowledge(sequence);
        _traces.Acknowledge(sequence);
        _reads.Acknowledge(sequence);
        _stored.Acknowledge(sequence);
        if (_samples.Count <= sampleLimit / 2)
        {
            _stride = 1;
        }
    }
}
