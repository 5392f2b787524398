using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Sampling;

/// <param name="Ids">What the model said, the end mark included where it came.</param>
/// <param name="Guessed">Tokens that the MTP module guessed.</param>
/// <param name="Kept">Guesses that the main model agreed to.</param>
/// <param name="Passes">Forward passes of the main model.</param>
public sealed record Continuation(IReadOnlyList<int> Ids, int Guessed, int Kept, int Passes);

/// <summary>
/// Continues one prompt. With speculation the MTP module guesses the token after next, and one pass of the main model judges the
/// guess and goes on behind it (report section 5.4.3): two tokens a pass where the guess is kept.
/// </summary>
public sealed class SpeculativeSampler(DeepSeekModel model, double temperature, long seed, bool speculate)
{
    private readonly bool _speculate = speculate && model.Shape.MtpDepth > 0;
    private SeededRandom _random = new(seed, "generate", 0);

    /// <param name="progress">Gets what is said so far after each pass but the last.</param>
    public Continuation Continue(
        IReadOnlyList<int> prompt, int maxNewTokens, int eos, CancellationToken stopping, Action<Continuation>? progress = null)
    {
        using var scope = NewDisposeScope();
        using var cache = model.NewCache(1, prompt.Count + maxNewTokens);
        using var drafts = _speculate ? model.NewDraftCache(1, prompt.Count + maxNewTokens) : null;
        var said = new List<int>();
        var (guessed, kept, passes) = (0, 0, 0);
        int[] input = [.. prompt];
        double[]? guesser = null; // distribution of the guess that stands last in input
        while (true)
        {
            stopping.ThrowIfCancellationRequested();
            using var step = NewDisposeScope();
            var (logits, hidden) = model.DecodeEach(Row(input), cache);
            passes++;
            var fresh = new List<int>(2);
            if (guesser is null)
            {
                fresh.Add(SpeculativeChoice.Draw(At(logits, input.Length - 1), ref _random));
            }
            else
            {
                guessed++;
                var (token, agreed) = SpeculativeChoice.Judge(At(logits, 0), guesser, input[1], ref _random);
                fresh.Add(token);
                if (agreed)
                {
                    kept++;
                    fresh.Add(SpeculativeChoice.Draw(At(logits, 1), ref _random));
                }
                else
                {
                    cache.Truncate(cache.Length - 1);
                    hidden = hidden.narrow(1, 0, 1);
                }
            }

            var before = input;
            var first = guesser is null;
            foreach (var token in fresh)
            {
                said.Add(token);
                if (token == eos || said.Count == maxNewTokens)
                {
                    return new Continuation(said, guessed, kept, passes);
                }
            }

            progress?.Invoke(new Continuation(said, guessed, kept, passes));
            (guesser, input) = (null, [fresh[^1]]);
            if (drafts is not null)
            {
                // What follows each place of hidden: the rest of the input at the start, else the fresh tokens themselves.
                int[] following = first ? [.. before.AsSpan(1), fresh[0]] : [.. fresh];
                var further = model.DecodeFurther(hidden, Row(following), drafts);
                if (said.Count + 1 < maxNewTokens)
                {
                    guesser = Distribution(further);
                    input = [fresh[^1], SpeculativeChoice.Draw(guesser, ref _random)];
                }
            }
        }
    }

    private Tensor Row(int[] ids) => tensor(Array.ConvertAll(ids, id => (long)id), device: model.Device).unsqueeze(0);

    private double[] At(Tensor logits, long place) => Distribution(logits.select(1, place));

    private double[] Distribution(Tensor logits) =>
        SpeculativeChoice.Probabilities(logits.flatten().to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray(), temperature);
}
