using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Sampling;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;
using Counted = DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>
/// Reinforcement learning by GRPO (report section 5.2): sample a group of answers to each question, let a rule judge them, and raise
/// what was better than its group's mean, held near a reference model. No value network.
/// </summary>
public sealed class ReinforcementWork : IStageWork
{
    private const string ReferenceFile = "reference.safetensors";
    private const string CountFile = "rollouts.json";

    private readonly StageContext _context;
    private readonly ReinforcementLearning _plan;
    private readonly VerifierRule _rule;
    private readonly DeepSeekModel _reference;
    private readonly Counted.LearningRate _rate;
    private long _nextQuestion;
    private long _drawing = -1;
    private RolloutCount _counted = RolloutCount.None;
    private bool _referenceReplaced;

    public ReinforcementWork(StageContext context, ReinforcementLearning plan)
    {
        (_context, _plan, _rule, _rate) = (context, plan, Verifier.Parse(plan.Verifier), plan.LearningRate.ToRecord());
        Learner = context.NewLearner(context.Plan.Model);
        // In the policy's own precision: where both have the same weights the distance is nothing.
        _reference = context.NewModel(context.Plan.Model);
    }

    public Learner Learner { get; }

    public long TotalSteps => _plan.Length().Steps;

    public (long Document, int Offset, string InWords) DataCursor => (_nextQuestion, 0, $"question {_nextQuestion}");

    // Until it is first replaced, the reference is the checkpoint that the stage began from, and need not be kept twice.
    public IEnumerable<(string File, IReadOnlyList<(string Name, Tensor Value)> Tensors)> OwnTensors =>
        _referenceReplaced ? [(ReferenceFile, [.. _reference.PublishedTensors()])] : [];

    public IEnumerable<(string File, byte[] Text)> OwnTexts => [(CountFile, JsonSerializer.SerializeToUtf8Bytes(_counted))];

    public IEnumerable<string> LastBatch => Enumerable.Range(0, _drawing < 0 ? 0 : _plan.Questions)
        .Select(i => _context.Data.ProblemPlace(StageContext.RlProblems + _drawing + i));

    public void Prepare(Position position, ISavedState? resumed)
    {
        if (_context.Data.ProblemCount == 0)
        {
            throw new InvalidDataException(
                "The data has no problems to reinforce on: give data.source a .jsonl with \"question\" and \"answer\".");
        }
        _nextQuestion = position.Document;
        if (resumed?.Has(ReferenceFile) == true)
        {
            resumed.ReadInto(_reference.PublishedTensors().Select(t => (Piece)t), ReferenceFile);
            _referenceReplaced = true;
        }
        else
        {
            ModelWeights.LoadBeginning(_reference, _context.Plan, _context.Plan.BeginFrom);
        }
        if (resumed is null)
        {
            Measure("before", 0);
        }
        else
        {
            _counted = JsonSerializer.Deserialize<RolloutCount>(resumed.Text(CountFile)) ?? RolloutCount.None;
        }
    }

    public StepResult Step(Position position)
    {
        var problems = Draw();
        var prompts = problems.SelectMany(p => Enumerable.Repeat(ChatTemplate.Prompt(p.Question, _context.Tokenizer), _plan.GroupSize))
            .ToList();
        var outputs = Roll(prompts, _context.Link.Pulse("rollout", position.Step));
        // Only now: a rollout that is broken off has used up no questions.
        _nextQuestion += _plan.Questions;
        var texts = outputs.ConvertAll(o => _context.Tokenizer.Decode(o.Ids));
        var rewards = outputs.Select((output, i) => _context.Evaluation.IsRight(_rule, output, problems[i / _plan.GroupSize]) ? 1.0 : 0.0)
            .ToList();
        var advantage = Losses.GroupAdvantage(rewards, _plan.GroupSize);

        _context.Link.Progress(RankState.Training, "training", position.Step);
        var rate = _rate.At(position.Step, position.Tokens, TotalSteps);
        var rows = RolloutRows.Lay(outputs, _context);
        var (loss, norm, kl, norms) = Learn(rows, advantage, rate);
        if (_plan.ReferenceEvery > 0 && (position.Step + 1) % _plan.ReferenceEvery == 0)
        {
            ModelWeights.Copy(Learner.Model, _reference);
            _referenceReplaced = true;
        }
        var count = new RolloutCount(
            outputs.Count, outputs.Count(o => !o.Ended), problems.Count,
            advantage.Chunk(_plan.GroupSize).Count(group => Array.TrueForAll(group, a => a == 0)));
        _counted = _counted.Plus(count);
        return new StepResult("grpo", loss, norm, rate, outputs.Sum(o => o.Prompt.Length + o.Ids.Length), new Dictionary<string, double>
        {
            ["reward"] = rewards.Average(),
            ["kl"] = kl,
            ["format_rate"] = outputs.Zip(texts).Count(p => p.First.Ended && Verifier.IsWellFormed(p.Second)) / (double)outputs.Count,
            ["output_tokens"] = outputs.Average(o => o.Ids.Length),
            ["rollouts"] = count.Rollouts,
            ["failed_rollouts"] = count.Failed,
            ["zero_advantage_groups"] = count.ZeroAdvantage,
        })
        {
            MicroBatches = norms,
        };
    }

    public void AfterStep(long stepsDone)
    {
        if (stepsDone == TotalSteps)
        {
            Measure("after", stepsDone, guesses: true);
            _context.Evaluation.Report("rollouts_failed", Interval.Of(_counted.Failed, _counted.Rollouts), stepsDone);
            _context.Evaluation.Report("rollouts_zero_advantage_groups", Interval.Of(_counted.ZeroAdvantage, _counted.Groups), stepsDone);
        }
    }

    public void Skip(Position position, long steps) => _nextQuestion += steps * _plan.Questions;

    public void Dispose()
    {
        Learner.Dispose();
        _reference.Dispose();
    }

    private List<Problem> Draw()
    {
        _drawing = _nextQuestion;
        var first = StageContext.RlProblems + _nextQuestion;
        return [.. Enumerable.Range(0, _plan.Questions).Select(i => _context.Data.TrainingProblem(first + i))];
    }

    /// <summary>Answers to all prompts, of which each rank draws its share.</summary>
    private List<Output> Roll(List<int[]> prompts, Action pulse) =>
        _context.Mesh.Trace.Of(SpanKinds.Rollout, "answers to the step's questions", () => Draw(prompts, pulse));

    private List<Output> Draw(List<int[]> prompts, Action pulse)
    {
        using var whole = _context.Gather(Learner.Model);
        var own = _context.Mesh.World.ShareOf(prompts.Count) is (var first, > 0 and var count)
            ? Sampler.Generate(
                whole.Model, prompts.GetRange(first, count), _plan.MaxNewTokens, _plan.Temperature, _context.Tokenizer.Special, pulse)
            : [];
        var said = _context.Mesh.World.Gather(own.ConvertAll(o => (int[])[o.Ended ? 1 : 0, .. o.Ids]));
        return [.. prompts.Zip(said, (prompt, ids) => new Output(prompt, ids[1..], ids[0] > 0))];
    }

    private (Tensor Loss, Tensor Norm, double Kl, IReadOnlyList<Tensor> Norms) Learn(RolloutRows rows, double[] advantage, double rate)
    {
        var miniBatches = MiniBatches(rows.Count);
        Tensor Said(DeepSeekModel model, MiniBatch own) => _context.Mesh.Trace.Of(SpanKinds.Forward, "rows of this rank",
            () => rows.LogProbabilities(model, own.First, own.Count, _plan.Temperature));
        List<Tensor> drawnBy = [];
        List<Tensor> reference;
        using (no_grad())
        {
            reference = miniBatches.ConvertAll(own => Said(_reference, own));
            if (miniBatches.Count > 1)
            {
                drawnBy = miniBatches.ConvertAll(own => Said(Learner.Model, own));
            }
        }
        var advantages = tensor(advantage, dtype: ScalarType.Float32, device: _context.Device);
        var (losses, norms, kls) = (new List<Tensor>(), new List<Tensor>(), new List<Tensor>());
        for (var i = 0; i < miniBatches.Count; i++)
        {
            var own = miniBatches[i];
            var policy = Said(Learner.Model, own);
            // One mini-batch is trained by the policy that drew it: the ratio is 1, and needs no second pass.
            var (loss, kl) = Losses.Grpo(policy, drawnBy.Count > 0 ? drawnBy[i] : policy.detach(), reference[i],
                advantages.narrow(0, own.First, own.Count), rows.Said.narrow(0, own.First, own.Count), _plan.ClipEpsilon, _plan.KlBeta);
            Learner.Backward(loss * own.Share);
            norms.Add(Learner.Update(rate));
            losses.Add(loss.detach() * own.Share);
            kls.Add(kl * own.Share);
        }
        Tensor[] means = [stack(losses).mean(), stack(kls).mean()];
        _context.Mesh.Data.AllReduce(means);
        return (means[0], stack(norms).mean(), means[1].ToDouble(), norms.Count > 1 ? norms : []);
    }

    /// <summary>This rank's rows of each mini-batch.</summary>
    /// <exception cref="InvalidDataException">Some ranks would have none.</exception>
    private List<MiniBatch> MiniBatches(int rows)
    {
        var (size, batches, ranks) = (_plan.MiniBatch > 0 ? _plan.MiniBatch : rows, new List<MiniBatch>(), _context.Rank.Layout.Data);
        for (var start = 0; start < rows; start += size)
        {
            var all = Math.Min(size, rows - start);
            var (first, count) = _context.Rank.ShareOf(all);
            if (all < ranks)
            {
                throw new InvalidDataException($"A mini-batch of {all} outputs is too small for {ranks} ranks: set rl.miniBatch to at "
                    + $"least {ranks}, and so that what it leaves of questions × groupSize is 0 or as many.");
            }
            batches.Add(new MiniBatch(start + first, count, (double)count / all));
        }
        return batches;
    }

    /// <param name="First">Of the step's rows.</param>
    /// <param name="Share">Of the mini-batch that other ranks have the rest of.</param>
    private readonly record struct MiniBatch(int First, int Count, double Share);

    // As the policy is trained, at its temperature; and its likeliest answer.
    private void Measure(string when, long step, bool guesses = false)
    {
        if (_context.Data.HeldOutCount == 0)
        {
            return;
        }
        using var whole = _context.Gather(Learner.Model);
        var (sampled, _) = _context.Evaluation.Accuracy(whole.Model, _rule, _plan.MaxNewTokens, _plan.Temperature, step);
        var (greedy, _) = _context.Evaluation.Accuracy(whole.Model, _rule, _plan.MaxNewTokens, temperature: 0, step);
        _context.Evaluation.Report($"rl_accuracy_{when}", sampled, step);
        _context.Evaluation.Report($"rl_greedy_accuracy_{when}", greedy, step);
        if (guesses)
        {
            _context.Evaluation.ReportGuessesKept(whole.Model, _plan.MaxNewTokens, step);
        }
    }
}
