using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;
using Counted = DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>Supervised fine-tuning on conversations: packed with sample mask, learned on the answers only.</summary>
public sealed class FineTuningWork(StageContext context, SupervisedFineTuning plan) : IStageWork
{
    private const int AnswerTokens = 24;

    private readonly Learner _learner = context.NewLearner(context.Plan.Model);
    private readonly ITrainingData _pairs = plan.Data.Length > 0 ? context.OpenOwn(plan.Data) : context.Data;
    private readonly LongExamples _long = new(context, plan.SequenceLength);
    private readonly Counted.LearningRate _rate = plan.LearningRate.ToRecord();
    private readonly long _epochSteps = Counted.StageLength.StepsPerEpoch(plan.Instances, plan.BatchSize);
    private long _next;
    private IReadOnlyList<long> _drawn = [];

    public Learner Learner => _learner;

    public long TotalSteps { get; } = plan.Length().Steps;

    public (long Document, int Offset, string InWords) DataCursor =>
        (_next, 0, $"epoch {_next / Math.Max(1, plan.Instances)}, instance {_next % Math.Max(1, plan.Instances)}");

    public IEnumerable<(string File, IReadOnlyList<(string Name, Tensor Value)> Tensors)> OwnTensors => [];

    public IEnumerable<(string File, byte[] Text)> OwnTexts => [];

    public IEnumerable<string> LastBatch => _drawn.Select(_pairs.ConversationPlace);

    public void Prepare(Position position, ISavedState? resumed)
    {
        _next = position.Document;
        if (_pairs.ConversationCount == 0)
        {
            throw new InvalidDataException(
                "The data has no conversations to fine-tune on: give sft.data a .jsonl with \"question\" and \"answer\", or \"messages\" "
                    + "in which an assistant answers.");
        }
        if (resumed is null)
        {
            Measure("sft_format_rate_before", "sft_accuracy_before", 0);
        }
    }

    public StepResult Step(Position position)
    {
        var batch = AnswerBatch.Pack(Draw(), plan.SequenceLength, context);
        _long.Take(batch.Own);
        var rate = _rate.At(position.Step, position.Tokens, TotalSteps);
        var phase = $"epoch-{(1 + (position.Step / _epochSteps)).ToString(CultureInfo.InvariantCulture)}";
        if (batch.Learned == 0)
        {
            return batch.Nothing(phase, rate);
        }
        var answers = Answers.Read(_learner.Model, batch.Own, plan.Lambda, context);
        _learner.Backward(answers.Total * batch.Share);
        var norm = _learner.Update(rate);
        return answers.ToResult(batch, phase, norm, rate, new() { ["answer_tokens"] = batch.Learned, ["rows"] = batch.Rows });
    }

    public void AfterStep(long stepsDone)
    {
        if (stepsDone == TotalSteps)
        {
            _long.Sum();
            Measure("sft_format_rate_after", "sft_accuracy_after", stepsDone, guesses: true);
        }
    }

    public void Skip(Position position, long steps)
    {
        for (var i = 0L; i < steps; i++)
        {
            Draw();
        }
    }

    public void Dispose() => _learner.Dispose();

    private void Measure(string formName, string rightName, long step, bool guesses = false)
    {
        if (context.Data.HeldOutCount > 0)
        {
            using var whole = context.Gather(_learner.Model);
            var (right, formed) = context.Evaluation.Accuracy(whole.Model, VerifierRule.Arithmetic, AnswerTokens, temperature: 0, step);
            context.Evaluation.Report(formName, formed, step);
            context.Evaluation.Report(rightName, right, step);
            if (guesses)
            {
                context.Evaluation.ReportGuessesKept(whole.Model, AnswerTokens, step);
            }
        }
    }

    // Each epoch in an order of its own; its last step takes what is left. Where batches were left out the last steps reach into one more.
    private List<Instance> Draw()
    {
        var (epoch, within) = Math.DivRem(_next, plan.Instances);
        var order = new Permutation(plan.Instances, context.Plan.Seed + epoch);
        var count = (int)Math.Min(plan.BatchSize, plan.Instances - within);
        _next += count;
        _drawn = context.Own([.. Enumerable.Range(0, count).Select(i => order[within + i])]);
        return [.. _drawn.Select(index => ChatTemplate.Render(_pairs.TrainingConversation(index), context.Tokenizer))];
    }
}
