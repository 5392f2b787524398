using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Sampling;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;
using Counted = DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>
/// Distillation: the teacher answers, a rule rejects wrong answers, the student is fine-tuned on the rest, and on the teacher's
/// distribution over each said token where <c>logit_weight</c> is above 0.
/// </summary>
public sealed class DistillationWork : IStageWork
{
    private const string SamplesFile = "samples.json";
    private const int AnswerTokens = 24;
    private const int Rows = 128;

    private readonly StageContext _context;
    private readonly Distillation _plan;
    private readonly VerifierRule _rule;
    private readonly DeepSeekModel _teacher;
    private readonly LongExamples _long;
    private readonly Counted.LearningRate _rate;
    private List<Sample> _samples = [];
    private byte[]? _samplesText;
    private long _next;

    public DistillationWork(StageContext context, Distillation plan)
    {
        (_context, _plan, _rule, _rate) = (context, plan, Verifier.Parse(plan.Verifier), plan.LearningRate.ToRecord());
        var shape = plan.Student ?? context.Plan.Model;
        if (shape.VocabSize != context.Plan.Model.VocabSize)
        {
            throw new InvalidDataException(
                $"The student's vocab_size {shape.VocabSize} differs from the teacher's {context.Plan.Model.VocabSize}; give "
                    + "both the same tokenizer.");
        }
        _long = new LongExamples(context, plan.SequenceLength);
        Learner = context.NewLearner(shape);
        _teacher = context.NewModel(context.Plan.Model);
    }

    public Learner Learner { get; }

    public long TotalSteps => _plan.Length().Steps;

    public (long Document, int Offset, string InWords) DataCursor =>
        (_next, 0,
            _samples.Count == 0 ? "no sample" : $"pass {_next / _samples.Count}, sample {_next % _samples.Count} of {_samples.Count} kept");

    public IEnumerable<string> LastBatch => Enumerable.Range(1, _plan.BatchSize)
        .Where(i => _next >= i && _samples.Count > 0)
        .Select(i => $"the teacher's sample {(_next - i) % _samples.Count} of pass {(_next - i) / _samples.Count}").Reverse();

    private double Temperature => _plan.Temperature > 0 ? _plan.Temperature : 1;

    public IEnumerable<(string File, IReadOnlyList<(string Name, Tensor Value)> Tensors)> OwnTensors => [];

    // They stay as they were drawn, and are asked for after each step.
    public IEnumerable<(string File, byte[] Text)> OwnTexts =>
        [(SamplesFile, _samplesText ??= JsonSerializer.SerializeToUtf8Bytes(_samples))];

    public void Prepare(Position position, ISavedState? resumed)
    {
        _next = position.Document;
        ModelWeights.LoadBeginning(_teacher, _context.Plan, _context.Plan.BeginFrom);
        if (resumed is null)
        {
            if (_plan.StudentFrom is not null)
            {
                Measure("student_accuracy_before", Learner.Model, 0);
            }
            Measure("teacher_accuracy", _teacher, 0);
            Draw();
        }
        else
        {
            _samples = JsonSerializer.Deserialize<List<Sample>>(resumed.Text(SamplesFile)) ?? [];
        }
    }

    public StepResult Step(Position position)
    {
        var batch = AnswerBatch.Pack(Take(), _plan.SequenceLength, _context);
        _long.Take(batch.Own);
        var rate = _rate.At(position.Step, position.Tokens, TotalSteps);
        var epoch = 1 + (position.Step / Counted.StageLength.StepsPerEpoch(_plan.Samples, _plan.BatchSize));
        var phase = $"epoch-{epoch.ToString(CultureInfo.InvariantCulture)}";
        if (batch.Learned == 0)
        {
            return batch.Nothing(phase, rate);
        }
        var answers = Answers.Read(Learner.Model, batch.Own, _plan.Lambda, _context);
        var total = answers.Total;
        var distance = 0.0;
        if (_plan.LogitWeight > 0)
        {
            var term = _context.Mesh.Trace.Of(SpanKinds.Forward, "the teacher's", () => Distance(answers));
            total = total + (_plan.LogitWeight * term);
            distance = batch.Means(term)[0].ToDouble();
        }
        Learner.Backward(total * batch.Share);
        var norm = Learner.Update(rate);
        return answers.ToResult(batch, phase, norm, rate, new() { ["teacher_kl"] = distance, ["answer_tokens"] = batch.Learned });
    }

    public void AfterStep(long stepsDone)
    {
        if (stepsDone == TotalSteps)
        {
            _long.Sum();
            if (_plan.MeasureUndistilled)
            {
                // Last, when a launch has long had its first step: this trains for as long as the stage did.
                using var undistilled = new UndistilledStudent(_context, _plan);
                if (undistilled.Train(TotalSteps, stepsDone) is { } student)
                {
                    Measure("student_accuracy_undistilled", student, stepsDone);
                }
            }
            Measure("student_accuracy_distilled", Learner.Model, stepsDone, guesses: true);
        }
    }

    public void Skip(Position position, long steps)
    {
        for (var i = 0L; i < steps; i++)
        {
            Take();
        }
    }

    public void Dispose()
    {
        Learner.Dispose();
        _teacher.Dispose();
    }

    /// <summary>τ² · KL(teacher ‖ student) at temperature τ, over the learned places (Hinton et al., arXiv 1503.02531).</summary>
    private Tensor Distance(Answers answers)
    {
        Tensor teacher;
        using (no_grad())
        {
            teacher =
                (_teacher.Forward(answers.Tokens, answers.Segments, training: false)
                    .Logits.to(ScalarType.Float32) / Temperature).log_softmax(-1);
        }
        var student = (answers.Logits.to(ScalarType.Float32) / Temperature).log_softmax(-1);
        var unlearned = answers.Labels == ChatTemplate.Ignored;
        var perPlace = (teacher.exp() * (teacher - student)).sum(-1).masked_fill(unlearned, 0);
        return Temperature * Temperature * perPlace.sum() / unlearned.logical_not().sum().clamp(min: 1);
    }

    private void Draw()
    {
        using var whole = _context.Gather(_teacher);
        var kept = new List<int[]>();
        var pulse = _context.Link.Pulse("sampling", 0);
        // Ranks take turns; a turn's draws are the same whoever's it is.
        for (var start = Rows * _context.Mesh.World.Own; start < _plan.Samples; start += Rows * _context.Mesh.World.Ranks)
        {
            RandomStreams.Begin(Seeds.Of(_context.Plan.Seed, "teacher", start));
            var problems = Enumerable.Range(start, Math.Min(Rows, _plan.Samples - start))
                .Select(i => _context.Data.TrainingProblem(StageContext.DistillationProblems + i)).ToList();
            var outputs = Sampler.Generate(
                whole.Model, [.. problems.Select(p => ChatTemplate.Prompt(p.Question, _context.Tokenizer))], AnswerTokens,
                Temperature, _context.Tokenizer.Special, pulse);
            var first = start;
            kept.AddRange(outputs.Zip(problems).Index()
                .Where(p => _context.Evaluation.IsRight(_rule, p.Item.First, p.Item.Second))
                .Select(p => (int[])[first + p.Index, p.Item.First.Prompt.Length, .. p.Item.First.Prompt, .. p.Item.First.Ids]));
        }
        _samples.AddRange(_context.Mesh.World.Gather(kept).OrderBy(k => k[0]).Select(k => new Sample(k[2..(2 + k[1])], k[(2 + k[1])..])));
        if (_samples.Count == 0)
        {
            throw new InvalidDataException(
                $"The verifier rejected all {_plan.Samples} samples of the teacher: there is nothing to distil. Begin "
                    + "from a better checkpoint.");
        }
        _context.Tell($"The teacher drew {_plan.Samples} samples; the verifier kept {_samples.Count}.");
        _context.Evaluation.Report("samples_kept", Interval.Of(_samples.Count, _plan.Samples), 0);
    }

    // Goes round what was kept, each pass in an order of its own, so that the number of steps is known before the first sample.
    private List<Instance> Take()
    {
        var first = _next;
        _next += _plan.BatchSize;
        return [.. _context.Own([.. Enumerable.Range(0, _plan.BatchSize).Select(i => first + i)]).Select(place =>
        {
            var (pass, within) = Math.DivRem(place, _samples.Count);
            var sample = _samples[(int)new Permutation(_samples.Count, _context.Plan.Seed + pass)[within]];
            return new Instance([.. sample.Prompt, .. sample.Said],
                [.. sample.Prompt.Select(_ => false), .. sample.Said.Select(_ => true)]);
        })];
    }

    private void Measure(string name, DeepSeekModel model, long step, bool guesses = false)
    {
        if (_context.Data.HeldOutCount == 0)
        {
            return;
        }
        using var whole = _context.Gather(model);
        _context.Evaluation.Report(name, _context.Evaluation.Accuracy(whole.Model, _rule, AnswerTokens, temperature: 0, step).Right, step);
        if (guesses)
        {
            _context.Evaluation.ReportGuessesKept(whole.Model, AnswerTokens, step);
        }
    }

    private sealed record Sample(int[] Prompt, int[] Said);
}
