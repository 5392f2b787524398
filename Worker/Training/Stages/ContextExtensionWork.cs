using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;
using Counted = DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>
/// Phases of longer and longer sequences under YaRN (report section 4.3), each measured by needles in haystacks of its length.
/// </summary>
public sealed class ContextExtensionWork(StageContext context, ContextExtension plan) : IStageWork
{
    private readonly Learner _learner = context.NewLearner(context.Plan.Model);
    // Texts as long as each phase's sequences: reading far back is learned from nothing else.
    private readonly ITrainingData[] _sources = [.. plan.Phases.Select(p => context.Data.ForContext(p.SequenceLength))];
    private readonly long[] _steps = [.. plan.Phases.Select(p => p.Steps)];
    private readonly Counted.LearningRate[] _rates = [.. plan.Phases.Select(p => p.LearningRate.ToRecord())];
    private PackedLearning? _packed;
    private int _phase = -1;

    public Learner Learner => _learner;

    public long TotalSteps { get; } = plan.Length().Steps;

    public (long Document, int Offset, string InWords) DataCursor =>
        (Packed.Documents.Cursor.Document, Packed.Documents.Cursor.Offset, Packed.Documents.Cursor.InWords(context.Data.DocumentCount));

    public IEnumerable<(string File, IReadOnlyList<(string Name, Tensor Value)> Tensors)> OwnTensors => [];

    public IEnumerable<(string File, byte[] Text)> OwnTexts => [];

    public IEnumerable<string> LastBatch => Packed.LastBatch;

    private PackedLearning Packed => _packed ??= new PackedLearning(context, _learner);

    public void Prepare(Position position, ISavedState? resumed)
    {
        if (resumed is null)
        {
            MeasureBefore();
        }
        // The phase of the last step, which may still have to be measured.
        SetPhase(Counted.StageLength.PhaseAt(_steps, Math.Max(0, position.Step - 1)).Phase);
        Packed.Documents.Begin(_sources[_phase], new DataCursor(position.Document, position.Offset));
    }

    public StepResult Step(Position position)
    {
        var within = Enter(position.Step);
        var phase = plan.Phases[_phase];
        var recipe = new Recipe(
            _rates[_phase].At(within, within * phase.BatchSize * phase.SequenceLength, phase.Steps), plan.Gamma, plan.Alpha, plan.Lambda);
        return Packed.Step(
            position.Step + 1, position.Step + 1 == TotalSteps, phase.Name, phase.BatchSize, 0, phase.SequenceLength, recipe,
            Math.Max(1, phase.ContextParallel));
    }

    public void AfterStep(long stepsDone)
    {
        var end = 0L;
        foreach (var phase in plan.Phases)
        {
            end += phase.Steps;
            if (end == stepsDone)
            {
                Measure(phase, "", stepsDone);
            }
        }
    }

    public void Skip(Position position, long steps)
    {
        for (var step = position.Step; step < position.Step + steps; step++)
        {
            Enter(step);
            Packed.Documents.Next(plan.Phases[_phase].BatchSize, plan.Phases[_phase].SequenceLength, share: (0, 0));
        }
    }

    public void Dispose() => _learner.Dispose();

    // What stretched positions give without any training at that length.
    private void MeasureBefore()
    {
        for (var phase = 0; phase < plan.Phases.Count; phase++)
        {
            SetPhase(phase);
            Measure(plan.Phases[phase], "_before", 0);
        }
    }

    private void Measure(ContextPhase phase, string when, long step)
    {
        using var whole = context.Gather(_learner.Model);
        context.Evaluation.Report(
            $"needle_{phase.SequenceLength}{when}", context.Evaluation.Needles(whole.Model, phase.SequenceLength, step), step);
    }

    /// <returns>Steps done within the phase that this step belongs to.</returns>
    private long Enter(long step)
    {
        var (phase, within) = Counted.StageLength.PhaseAt(_steps, step);
        if (phase != _phase)
        {
            SetPhase(phase);
            Packed.Documents.GoOnWith(_sources[phase]);
        }
        return within;
    }

    private void SetPhase(int phase)
    {
        _phase = phase;
        _learner.Model.SetYarn(plan.Phases[phase].Yarn);
    }
}
