using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>What a stage goes on from, in memory or on disk, and what it leaves there.</summary>
public sealed partial class StageLoop
{
    private const string OptimizerFile = "optimizer.safetensors";

    /// <summary>In memory only.</summary>
    private const string LoadsFile = "loads";

    /// <summary>
    /// The first rank looks, checks every byte and moves aside what cannot be used; the others take what it found. Null: the beginning.
    /// </summary>
    /// <exception cref="IOException">This rank does not see what the first one found: they do not share one folder.</exception>
    private CheckpointSeen? AgreedStart()
    {
        var found = _mesh.World.Own == 0 ? _folder.FindUsable(_assignment.ResumeFrom) : null;
        var step = _mesh.World.Broadcast(found?.Step ?? -1);
        var digest = _mesh.World.Broadcast(found?.DigestStart ?? 0);
        return found ?? (step < 0 ? null : _folder.Take(step, digest));
    }

    private void Restore()
    {
        _link.Progress(RankState.Starting, "restoring", 0);
        InputCheck.Agree(_context, _mesh.World);
        BringBeginnings();
        var from = (ISavedState?)GoOnInMemory() ?? GoOnFromDisk();
        if (from is null)
        {
            _work.Learner.Draw();
            _beganFrom = ModelWeights.LoadBeginning(_work.Learner.Model, _plan, StageWorks.LearnerFrom(_plan), _link.Note);
            _work.Learner.ResetAverage();
        }
        if (_rank.Device.type == DeviceType.CPU && _peakTflops is null)
        {
            _peakTflops = PeakOfGang();
        }
        Volatile.Write(ref _startedFrom, _position.Step);
        _copies?.Begin();
        _parts?.Ended("restore");
        _link.Progress(RankState.Training, "preparing", _position.Step);
        using var scope = NewDisposeScope();
        try
        {
            _work.Prepare(_position, from);
        }
        catch (NotFiniteException e)
        {
            // No step is to blame, and no launch would measure another value.
            throw new InvalidDataException($"{e.Message}, before any step: the weights that the stage begins with give no finite numbers. "
                + "Begin from another checkpoint; without one, set model.initStd lower.", e);
        }
        if (from is not StateMemory.KeptState)
        {
            Keep();
        }
        if (_position.Step > _savedStep && SaveIsDue(asked: false))
        {
            // Whoever was lost had not written its part yet.
            Save();
        }
    }

    /// <summary>The newest step that every rank of the gang has kept; null: there is none, or a checkpoint is newer.</summary>
    private StateMemory.KeptState? GoOnInMemory()
    {
        var onDisk = _mesh.World.Broadcast(_mesh.World.Own == 0 ? _folder.NewestStep() : 0);
        if (_keeping.Agree(onDisk) is not { } state)
        {
            return null;
        }
        var meta = state.Meta;
        _link.Report(new RankReport { Resumed = new ResumedFrom { KeptStep = meta.Position.Step } });
        GoOn(state, meta.Position, meta.BeganFrom, meta.LeftOut, meta.Inputs);
        if (state.Has(LoadsFile))
        {
            _work.Learner.TakeLoads(state, LoadsFile);
        }
        (_savedStep, _evaluationDue) = (onDisk, _position.Step > 0);
        // Measured once already; a gang that waits does without.
        _peakTflops = meta.PeakTflops;
        return state;
    }

    private SavedOnDisk? GoOnFromDisk()
    {
        var found = AgreedStart();
        _link.Resumed(found is null ? null : CheckpointSaver.ReportOf(
            // By the name by which alone it may be told, also where it still lies under the one that a retry gave it: by its digest it is
            // known.
            found, _folder.RelativePathOf(found.Step), TimeSpan.Zero, TimeSpan.Zero,
            File.GetLastWriteTimeUtc(Path.Combine(found.Path, Manifest.FileName))));
        if (found is null)
        {
            return null;
        }
        var state = new SavedOnDisk(found.Path);
        var manifest = found.Manifest;
        GoOn(state, manifest.Position, manifest.BeganFrom, manifest.LeftOut, manifest.Inputs);
        (_savedStep, _evaluationDue) = (_position.Step, !manifest.Final);
        return state;
    }

    private void GoOn(
        ISavedState from, Position position, Lineage? beganFrom, IReadOnlyList<long> leftOut, IReadOnlyList<InputMark> inputs)
    {
        InputCheck.Compare(inputs, position.Step, _context, _assignment);
        (_position, _beganFrom, _leftOut) = (position, beganFrom, leftOut);
        _order = new BatchOrder(_assignment.LeftOutBatches, _leftOut, _position.Step);
        var learner = _work.Learner;
        from.ReadInto(learner.Model.PublishedTensors().Select(t => (Piece)t), ModelWeights.FileName);
        from.ReadInto(learner.OptimizerState, OptimizerFile);
        if (learner.HasAverage)
        {
            from.ReadInto(learner.Average.Select(t => (Piece)t), ModelWeights.AverageFileName);
        }
    }

    private bool SaveIsDue(bool asked) => _position.Step < _work.TotalSteps
        && (asked || _position.Step % Math.Max(1, _plan.Checkpoints.EverySteps) == 0);

    private void Keep()
    {
        if (!_keeping.Able)
        {
            return;
        }
        using var scope = NewDisposeScope();
        var tensors = Held();
        if (_work.Learner.Loads.ToList() is { Count: > 0 } loads)
        {
            tensors[LoadsFile] = loads;
        }
        _keeping.Keep(new KeptMeta(_position, _beganFrom, _leftOut, _work.OwnTexts.ToDictionary(t => t.File, t => t.Text), [])
        {
            PeakTflops = _peakTflops,
            Inputs = _context.Inputs,
        }, tensors, RequireWhole);
    }

    /// <summary>
    /// On a GPU a call that waits for a lost rank is broken off where it stands, and what it was to bring is not what it should be. It was
    /// asked for before the copy: broken off before it, too.
    /// </summary>
    private void RequireWhole()
    {
        if (_rank.Device.type == DeviceType.CUDA)
        {
            _mesh.Calls.ThrowIfAborted();
        }
    }

    /// <summary>All that lies on this rank of what makes the next step.</summary>
    private Dictionary<string, IReadOnlyList<Piece>> Held()
    {
        var learner = _work.Learner;
        var tensors = new Dictionary<string, IReadOnlyList<Piece>>
        {
            [ModelWeights.FileName] = [.. learner.Model.PublishedTensors().Select(t => (Piece)t)],
            [OptimizerFile] = [.. learner.OptimizerState],
        };
        if (learner.HasAverage)
        {
            tensors[ModelWeights.AverageFileName] = [.. learner.Average.Select(t => (Piece)t)];
        }
        foreach (var (file, own) in _work.OwnTensors)
        {
            tensors[file] = [.. own.Select(t => (Piece)t)];
        }
        return tensors;
    }

    private void Save()
    {
        using var scope = NewDisposeScope();
        var final = _position.Step == _work.TotalSteps && !_evaluationDue;
        var share = new StateShare(_work.Learner.Model, _mesh);
        var tensors = Held().ToDictionary(
            f => f.Key, f => share.Of(f.Value, dealt: f.Key == OptimizerFile && _work.Learner.Optimizer.DealsMoments));
        var texts = _work.OwnTexts.ToDictionary(t => t.File, t => t.Text);
        texts[ConfigJson.FileName] = ConfigJson.ToBytes(_work.Learner.Model.Shape);
        if (_work.Learner.ExpertLoads() is { Count: > 0 } loads)
        {
            texts[ExpertLoadsJson.FileName] = ExpertLoadsJson.ToBytes(_work.Learner.Model.Shape, _position.Step, loads);
        }
        if (_tokenizer is { } tokenizer)
        {
            texts[TokenizerJson.FileName] = tokenizer;
        }
        var manifest = new Manifest(
            Manifest.CurrentFormat, _assignment.Attempt.Run, _assignment.Attempt.Stage, _assignment.Attempt.Attempt, _plan.Seed,
            _position, _work.DataCursor.InWords, final, _beganFrom, [])
        {
            Registration = _bounds.Registration,
            LeftOut = _leftOut,
            Inputs = _context.Inputs,
        };
        // By then the next step may have taken its batch.
        var (step, batch) = (_position.Step, _order.Taken);
        _saver.Save(manifest, new Snapshot(tensors, texts), copied =>
        {
            RequireWhole();
            RequireFinite(copied, step, batch);
        });
        _savedStep = step;
        if (final)
        {
            _saver.Settle();
        }
    }

    /// <summary>A good checkpoint has finite weights, moments and averages: one sum of each tensor.</summary>
    private static void RequireFinite(IReadOnlyDictionary<string, IReadOnlyList<Piece>> tensors, long step, long batch)
    {
        foreach (var (file, own) in tensors)
        {
            if (FiniteNumbers.FirstSpoilt(own.Select(p => (p.Name, p.Value))) is { } spoilt)
            {
                var what = file switch
                {
                    ModelWeights.FileName => "weight",
                    OptimizerFile => "moment",
                    ModelWeights.AverageFileName => "moving average of",
                    _ => "tensor",
                };
                throw new NotFiniteException(
                    new NotFinite { What = $"{what} {spoilt.Name}", Value = spoilt.Value, Step = step, Batch = batch });
            }
        }
    }
}
