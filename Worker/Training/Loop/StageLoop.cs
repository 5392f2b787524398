using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Checkpoints.Store;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using DeepSeekOps.Worker.Training.Stages;
using Google.Protobuf.WellKnownTypes;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>The loop that all five stages share: restore, step, tell, save, obey, end.</summary>
public sealed partial class StageLoop : IDisposable
{
    private readonly Assignment _assignment;
    private readonly TrainingPlan _plan;
    private readonly IRankLink _link;
    private readonly TimeProvider _clock;
    private readonly RankContext _rank;
    private readonly Mesh _mesh;
    private readonly StageContext _context;
    private readonly IStageWork _work;
    private readonly byte[]? _tokenizer;
    private readonly LaunchBounds _bounds;
    private readonly CheckpointFolder _folder;
    private readonly CheckpointSaver _saver;
    private readonly StoreCopies? _copies;
    private readonly StateKeeping _keeping;
    private readonly StepRecorder _recorder;
    private readonly StepJournal? _journal; // the first rank's
    private readonly RankParts? _parts;
    private double? _peakTflops;
    private Position _position = Position.Start;
    private readonly StepChanges _changes;
    private BatchOrder _order;
    private IReadOnlyList<long> _leftOut = [];
    private Lineage? _beganFrom;
    private long _savedStep;
    private long _startedFrom;

    // A step is saved before it is measured, so a launch measures the step it goes on from: no evaluation is lost, and one told twice
    // is known by its name and step. Only the final checkpoint comes after: it says that nothing is left to do.
    private bool _evaluationDue;

    /// <param name="memory">Where a rank of a gang keeps its newest states; null: nowhere.</param>
    internal StageLoop(
        Assignment assignment, IRankLink link, TimeProvider clock, RankContext rank, Mesh mesh, StateMemory? memory = null,
        RankParts? parts = null)
    {
        _parts = parts;
        (_assignment, _plan, _link, _clock) = (assignment, assignment.Plan, link, clock);
        var trace = new StepTrace(rank.Device.type == DeviceType.CUDA ? () => cuda.synchronize() : () => { });
        _recorder = new StepRecorder(link, trace, rank, mesh.World);
        mesh = mesh.Traced(trace);
        var context = _context = StageContext.Open(_plan, link, rank, mesh);
        (_rank, _mesh) = (rank, mesh);
        (_work, _tokenizer) = (context.NewWork(), context.Tokenizer.Json);
        _bounds = LaunchBounds.Of(assignment) with { Part = new CheckpointPart(rank.Rank, rank.Layout.Ranks) };
        var store = StoreOpening.Open(_plan.CheckpointStore, clock);
        _folder = new CheckpointFolder(_plan.CheckpointRoot, _bounds, link, store);
        _saver = new CheckpointSaver(_folder, _plan.Checkpoints, link, clock);
        _copies = store is null ? null : Copies(store);
        _work.Learner.BeforeChange = _saver.Settle;
        _keeping = new StateKeeping(memory, mesh.World, _plan.Checkpoints.InMemoryEvery, clock);
        _journal = rank.Rank == 0 ? StepJournal.Of(assignment) : null;
        _order = new BatchOrder(assignment.LeftOutBatches, [], 0);
        _changes = new StepChanges(assignment);
    }

    public Position Position => _position;

    /// <exception cref="NotFiniteException">A number of a step, of its measurements or of its weights is not finite.</exception>
    public void Run()
    {
        Restore();
        while (_evaluationDue || _position.Step < _work.TotalSteps)
        {
            if (AgreedStop() is { } stop)
            {
                End(stop);
                return;
            }
            try
            {
                _saver.ThrowIfFailed();
                Advance();
            }
            catch (OperationCanceledException) when (_link.StopOrder is not null)
            {
                // A rollout or an evaluation was broken off. Neither changes the model: the last whole step stands, and is saved. A step is
                // broken off only where nothing is to be saved.
            }
            catch (NotFiniteException e)
            {
                // The save under way is of an earlier, sound step, and what the stage will go on from; or it is what went wrong.
                _saver.Rest();
                Locate(e.Broke);
                throw;
            }
        }
        _saver.Wait();
        // The stage is done when its last checkpoint is there, and that is when each rank has written its part.
        _mesh.World.Barrier();
        FinishCopies(StoreLastMost, whileAway: true);
        _link.Done(_position.Step);
    }

    public void Dispose()
    {
        _saver.Dispose();
        _copies?.Dispose();
        _journal?.Dispose();
        _work.Dispose();
        (_context.Data as IDisposable)?.Dispose();
    }

    /// <summary>
    /// Orders reach the ranks of a gang one after another: the first rank's word counts, so that all end, and save, at the same step.
    /// </summary>
    private RankStop? AgreedStop() => _link.StopOrder is { Save: false } now ? now
        : _mesh.World.Broadcast(_link.StopOrder is null ? 0 : 1) > 0 ? _link.StopOrder ?? new RankStop { Save = true } : null;

    private void Locate(NotFinite broke)
    {
        if (broke.Step == 0)
        {
            broke.Step = _evaluationDue ? _position.Step : _position.Step + 1;
        }
        if (broke.Batch == 0 || broke.Batch == _order.Taken)
        {
            broke.Batch = _order.Taken;
            broke.Data = BrokenStep.InWords(_work.LastBatch);
        }
    }

    private void Advance()
    {
        using var scope = NewDisposeScope();
        if (_evaluationDue)
        {
            _context.SpoilTokens = null;
            _mesh.Trace.Of(SpanKinds.Evaluation, "measuring", () => _work.AfterStep(_position.Step));
            _evaluationDue = false;
            if (_position.Step == _work.TotalSteps)
            {
                Save();
            }
            _parts?.Ended("measure");
        }
        else
        {
            Step();
        }
    }

    /// <summary>All ranks of a gang at the same step; where faults are not allowed none is asked for.</summary>
    private void TakeFault()
    {
        if (!_assignment.AllowsFaults)
        {
            return;
        }
        var asked = _link.TakeFault();
        if (asked?.Number is not null)
        {
            _work.Learner.SpoilsGradient = true;
            _link.Note($"a drill makes a gradient of rank {_rank.Rank} NaN in step {_position.Step + 1}");
        }
        if (asked?.Slow is { } slow)
        {
            _mesh.Time.SlowDown(slow.Factor, slow.Lasting.ToTimeSpan());
            _link.Note($"a drill makes rank {_rank.Rank} take {slow.Factor:G3} times as long from step {_position.Step + 1} on");
        }
        var fault = asked?.Rate ?? new RateFault();
        var steps = _mesh.World.Broadcast(fault.Steps);
        var factor = BitConverter.Int64BitsToDouble(_mesh.World.Broadcast(BitConverter.DoubleToInt64Bits(fault.Factor)));
        if (steps > 0)
        {
            _changes.Inject(factor, _position.Step + 1, steps);
            _link.Note($"a drill multiplies the learning rate by {factor:G4} in steps {_position.Step + 1} to {_position.Step + steps}");
        }
    }

    private void Step()
    {
        if (_order.Pass() is > 0 and var passed)
        {
            _work.Skip(_position, passed);
        }
        var (began, recorded) = (_clock.GetTimestamp(), StepTrace.Now());
        _mesh.Time.BeginStep();
        RandomStreams.Begin(Seeds.Of(_plan.Seed, _assignment.Attempt.Stage, _position.Step, _rank.Place.Data));
        TakeFault();
        _work.Learner.RateFactor = _changes.RateFactor(_position.Step + 1);
        _context.SpoilTokens = _changes.Spoils(_order.Taken) ? _order.Taken : null;
        var result = _work.Step(_position);
        var (loss, norm) = (result.Loss.ToDouble(), result.Norm.ToDouble());
        _mesh.Time.EndStep();
        var seconds = _clock.GetElapsedTime(began).TotalSeconds;
        var next = _position with
        {
            Step = _position.Step + 1,
            Tokens = _position.Tokens + result.Tokens,
            // A step of nothing leaves the model, and so the newest loss, as they were.
            Loss = result.Learned ? loss : _position.Loss,
            Document = _work.DataCursor.Document,
            Offset = _work.DataCursor.Offset,
        };
        var sample = ToSample(result, next, norm, seconds);
        if (BrokenStep.Of(result, loss, norm) is { } broke)
        {
            broke.Step = next.Step;
            throw new NotFiniteException(broke, sample);
        }
        (_position, _leftOut) = (next, _order.LeftOut);
        _link.Progress(RankState.Training, result.Phase, _position.Step);
        // First where it outlives the agent: a checkpoint of this step may be durable before the agent has read the report.
        _journal?.Add(sample);
        _parts?.Last("first step");
        _link.Sample(sample);
        if (result.ExpertLoad is { } load)
        {
            load.Step = _position.Step;
            load.At = Timestamp.FromDateTimeOffset(_clock.GetUtcNow());
            _link.ExpertLoad(load);
        }
        _evaluationDue = true;
        // The first rank's word counts for a save. Whoever is told that all are here knows that all have made this step, and so have what
        // they kept before it whole.
        var asked = _link.TakeSaveOrder() is not null && _mesh.World.Own == 0;
        var (heard, mark) = _recorder.Says();
        var said = _mesh.World.Sum(asked ? 1 : 0, _keeping.Wants(_position.Step) ? 1 : 0, heard, mark);
        _recorder.StepEnded(_position.Step, recorded, said[2], said[3]);
        if (said[1] == _mesh.World.Ranks)
        {
            _mesh.Trace.Of(SpanKinds.Save, "the state is copied to memory", Keep);
        }
        if (SaveIsDue(asked: said[0] > 0))
        {
            _mesh.Trace.Of(SpanKinds.Save, "a checkpoint is begun", Save);
        }
    }

    private StepSample ToSample(StepResult result, Position position, double norm, double seconds)
    {
        var sample = new StepSample
        {
            Step = position.Step, At = Timestamp.FromDateTimeOffset(_clock.GetUtcNow()), Phase = result.Phase, Loss = position.Loss,
            GradNorm = norm, LearningRate = result.LearningRate * _work.Learner.RateFactor, Tokens = position.Tokens, StepSeconds = seconds,
        };
        foreach (var (name, value) in result.Extra)
        {
            sample.Extra.Add(name, value);
        }
        if (_peakTflops is { } peak)
        {
            if (DevicePeak.IsDue(position.Step))
            {
                _peakTflops = peak = Math.Max(peak, PeakOfGang());
            }
            sample.Extra.Add("peak_tflops", peak);
        }
        return sample;
    }

    /// <summary>Ranks measure at one time, as they train: those of one machine share its cores.</summary>
    private double PeakOfGang()
    {
        _mesh.World.Barrier();
        return _mesh.World.Sum([DevicePeak.MeasureTflops(_clock)])[0];
    }

    private void End(RankStop stop)
    {
        if (stop.Save && _position.Step > _savedStep)
        {
            _link.Progress(RankState.Saving, "saving", _position.Step);
            Save();
        }
        _saver.Wait();
        if (stop.Save)
        {
            FinishCopies(StoreStopMost, whileAway: false);
        }
    }
}
