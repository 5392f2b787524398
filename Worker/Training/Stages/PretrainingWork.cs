using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;
using Counted = DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>Pretraining at the short context: batch ramp, learning rate in pieces, gamma and lambda by milestones.</summary>
public sealed class PretrainingWork(StageContext context, Pretraining plan) : IStageWork
{
    private readonly Learner _learner = context.NewLearner(context.Plan.Model, plan.EmaDecay);
    private readonly Counted.BatchRamp _batch = plan.BatchSize.ToRecord();
    private readonly Counted.LearningRate _rate = plan.LearningRate.ToRecord();
    private readonly (Counted.Milestone Gamma, Counted.Milestone Lambda) _weights = (plan.Gamma.ToRecord(), plan.Lambda.ToRecord());
    private PackedLearning? _packed;

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
        Packed.Documents.Cursor = new DataCursor(position.Document, position.Offset);
        if (resumed is null)
        {
            Measure("before", 0);
        }
    }

    public StepResult Step(Position position) => Packed.Step(
        position.Step + 1, position.Step + 1 == TotalSteps,
        plan.SequenceLength.ToString(CultureInfo.InvariantCulture), _batch.At(position.Tokens), _batch.Micro, plan.SequenceLength,
        new Recipe(
            _rate.At(position.Step, position.Tokens, TotalSteps, plan.Tokens), _weights.Gamma.At(position.Tokens), plan.Alpha,
            _weights.Lambda.At(position.Tokens)));

    public void AfterStep(long stepsDone)
    {
        if (stepsDone == TotalSteps)
        {
            Measure("after", stepsDone);
        }
    }

    public void Skip(Position position, long steps)
    {
        for (var i = 0L; i < steps; i++)
        {
            Packed.Documents.Next(_batch.At(position.Tokens), plan.SequenceLength, share: (0, 0));
        }
    }

    public void Dispose() => _learner.Dispose();

    private void Measure(string when, long step)
    {
        using var whole = context.Gather(_learner.Model);
        var (loss, excess) = context.Evaluation.Texts(whole.Model, plan.SequenceLength, step);
        if (context.Data.DocumentCount is null)
        {
            // The documents of files come round again, so none of them is unread.
            context.Evaluation.Report($"heldout_loss_{when}", loss, step);
        }
        context.Evaluation.Report($"expert_excess_{when}", excess, step);
        if (step > 0 && context.Data.DocumentCount is null)
        {
            context.Evaluation.Report($"needle_{plan.SequenceLength}",
                context.Evaluation.Needles(whole.Model, plan.SequenceLength, step), step);
        }
        if (step > 0 && _learner.HasAverage && context.Data.DocumentCount is null)
        {
            context.Evaluation.Report("heldout_loss_ema", _learner.WithAverage(() =>
            {
                using var average = context.Gather(_learner.Model);
                return context.Evaluation.Texts(average.Model, plan.SequenceLength, step);
            }).Loss, step);
        }
    }
}
