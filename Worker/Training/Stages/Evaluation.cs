using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Sampling;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>
/// Measurements on problems and texts that were never trained on. The same draws each time, so that two can be compared. Ranks of a gang
/// share the work, each with a whole model, and all know the result.
/// </summary>
public sealed class Evaluation(ITrainingData data, ITokenizer tokenizer, IRankLink link, IProcessGroup ranks)
{
    private const int Rows = 128;
    private const int NeedleCount = 80;
    private const int TextBatches = 32;
    private const int TextRows = 4;
    private const int GuessedAnswers = 24;
    private const string Evaluating = "evaluating";
    private const long UnreadDocuments = 1L << 40;

    /// <summary>Share of held-out problems answered rightly, and of answers in the form that was taught.</summary>
    public (Interval Right, Interval WellFormed) Accuracy(DeepSeekModel model, VerifierRule rule, int maxNewTokens, double temperature,
        long step)
    {
        var (right, formed) = (0, 0);
        RandomStreams.Begin(ranks.Own);
        var (first, count) = ranks.ShareOf(data.HeldOutCount);
        var pulse = link.Pulse(Evaluating, step);
        for (var start = first; start < first + count; start += Rows)
        {
            var problems = Enumerable.Range(start, Math.Min(Rows, first + count - start)).Select(data.HeldOutProblem).ToList();
            var outputs = Sampler.Generate(
                model, [.. problems.Select(p => ChatTemplate.Prompt(p.Question, tokenizer))], maxNewTokens, temperature, tokenizer.Special,
                pulse);
            for (var i = 0; i < outputs.Count; i++)
            {
                var text = tokenizer.Decode(outputs[i].Ids);
                right += IsRight(rule, outputs[i], problems[i]) ? 1 : 0;
                formed += outputs[i].Ended && Verifier.IsWellFormed(text) ? 1 : 0;
            }
        }
        var sums = ranks.Sum(right, formed);
        return (Interval.Of(sums[0], data.HeldOutCount), Interval.Of(sums[1], data.HeldOutCount));
    }

    /// <summary>An output that found no end within its tokens is not right, whatever stands in it.</summary>
    public bool IsRight(VerifierRule rule, Output output, Problem problem) =>
        output.Ended && Verifier.IsRight(rule, tokenizer.Decode(output.Ids), problem.Answer);

    /// <summary>
    /// Reports the share of the MTP module's guesses that the model itself agrees to, over its likeliest answers to some held-out
    /// problems: what self-speculation saves in sampling (report section 5.4.3). Nothing where there is no module to guess.
    /// </summary>
    public void ReportGuessesKept(DeepSeekModel model, int maxNewTokens, long step)
    {
        if (model.Shape.MtpDepth == 0 || data.HeldOutCount == 0)
        {
            return;
        }
        var (kept, guessed) = (0, 0);
        var pulse = link.Pulse(Evaluating, step);
        for (var i = ranks.Own; i < Math.Min(GuessedAnswers, data.HeldOutCount); i += ranks.Ranks)
        {
            var prompt = ChatTemplate.Prompt(data.HeldOutProblem(i).Question, tokenizer);
            var said = new SpeculativeSampler(model, temperature: 0, seed: 0, speculate: true).Continue(
                prompt, Math.Min(maxNewTokens, model.Shape.ContextLength - prompt.Length), tokenizer.Special.Eos,
                link.Stopping, _ => pulse());
            (kept, guessed) = (kept + said.Kept, guessed + said.Guessed);
        }
        if (ranks.Sum(kept, guessed) is [var keptByAll, > 0 and var guessedByAll])
        {
            Report("mtp_guesses_kept", Interval.Of(keptByAll, guessedByAll), step);
        }
    }

    /// <summary>
    /// Loss per token, and how far the busiest expert of the worst layer lies above its fair share (0: perfect balance), on texts from
    /// far beyond those of training where the source is endless.
    /// </summary>
    public (Interval Loss, Interval ExpertExcess) Texts(DeepSeekModel model, int sequenceLength, long step)
    {
        using var untracked = no_grad();
        var pulse = link.Pulse(Evaluating, step);
        var documents = new PackedDocuments(data, tokenizer, seed: 0, fimRate: 0) { Cursor = new DataCursor(UnreadDocuments, 0) };
        var (losses, excesses) = (new double[TextBatches], new double[TextBatches]);
        for (var batch = 0; batch < TextBatches; batch++)
        {
            pulse();
            using var scope = NewDisposeScope();
            var rows = documents.Next(TextRows, sequenceLength);
            if (batch % ranks.Ranks != ranks.Own)
            {
                continue;
            }
            var ids = tensor(rows).reshape(TextRows, -1).to(model.Device);
            var output = model.Forward(ids.narrow(1, 0, sequenceLength), training: false);
            losses[batch] = Losses.CrossEntropy(output.Logits, ids.narrow(1, 1, sequenceLength)).ToDouble();
            excesses[batch] = output.ExpertLoads.Select(l => (l.max() / l.mean()).ToDouble() - 1).DefaultIfEmpty().Max();
        }
        return (Interval.OfMean(ranks.Sum(losses)), Interval.OfMean(ranks.Sum(excesses)));
    }

    /// <summary>Share of texts whose code, told somewhere in the text, the model says at its end.</summary>
    public Interval Needles(DeepSeekModel model, int sequenceLength, long step)
    {
        var found = 0;
        const int Batch = 8;
        var pulse = link.Pulse(Evaluating, step);
        for (var start = Batch * ranks.Own; start < NeedleCount; start += Batch * ranks.Ranks)
        {
            var needles = Enumerable.Range(start, Batch).Select(i =>
            {
                var draw = new SeededRandom(0, "needle", i);
                return ShortTexts.Needle(ref draw, sequenceLength - 8, (i + 0.5) / NeedleCount);
            }).ToList();
            var longest = needles.Max(n => tokenizer.Encode(n.Secret).Count);
            var outputs = Sampler.Generate(
                model, [.. needles.Select(
                    n => new[] { tokenizer.Special.Bos }.Concat(tokenizer.Encode(n.Prompt)).TakeLast(sequenceLength - longest).ToArray())],
                longest, temperature: 0, tokenizer.Special, pulse);
            found += outputs.Zip(needles).Count(p => tokenizer.Decode(p.First.Ids).StartsWith(p.Second.Secret, StringComparison.Ordinal));
        }
        return Interval.Of(ranks.Sum(found)[0], NeedleCount);
    }

    /// <exception cref="NotFiniteException">The value is not finite. It has been told as it is.</exception>
    public void Report(string name, Interval result, long step)
    {
        link.Evaluation(new EvaluationReport
        {
            Name = name, Value = result.Value, Low = result.Low, High = result.High, Samples = result.Samples, Step = step,
        });
        if (!double.IsFinite(result.Value))
        {
            throw new NotFiniteException(new NotFinite { What = $"measured {name}", Value = result.Value, Step = step });
        }
    }
}
