using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Sampling;

/// <param name="Ids">What the model said, the end mark included where it came.</param>
public sealed record Output(int[] Prompt, int[] Ids, bool Ended);

/// <summary>Samples answers for many prompts in lockstep on the latent KV cache; shorter prompts are padded on the left.</summary>
public static class Sampler
{
    /// <param name="temperature">0: always the likeliest token.</param>
    /// <param name="eachToken">Called before each token; what it throws ends the sampling.</param>
    /// <exception cref="NotFiniteException">The model's logits are not finite; its step is for the caller to say.</exception>
    public static List<Output> Generate(
        DeepSeekModel model, IReadOnlyList<int[]> prompts, int maxNewTokens, double temperature, SpecialTokens special,
        Action eachToken)
    {
        if (prompts.Max(p => p.Length) is var longest && longest + maxNewTokens > model.Shape.ContextLength)
        {
            throw new InvalidDataException(
                $"A question of {longest} tokens and {maxNewTokens} new ones do not fit into the model's {model.Shape.ContextLength}: "
                + $"set maxNewTokens to at most {model.Shape.ContextLength - longest}, or shorten the question.");
        }
        using var untracked = no_grad();
        using var outer = NewDisposeScope();
        using var cache = model.NewCache(prompts.Count, prompts.Max(p => p.Length) + maxNewTokens);
        var device = model.Device;
        var width = prompts.Max(p => p.Length);
        var (ids, real) = (new long[prompts.Count * width], new bool[prompts.Count * width]);
        Array.Fill(ids, special.Pad);
        for (var row = 0; row < prompts.Count; row++)
        {
            var start = (row * width) + width - prompts[row].Length;
            for (var i = 0; i < prompts[row].Length; i++)
            {
                (ids[start + i], real[start + i]) = (prompts[row][i], true);
            }
        }
        var input = tensor(ids, device: device).reshape(prompts.Count, width);
        var mask = tensor(real, device: device).reshape(prompts.Count, width);
        var said = prompts.Select(_ => new List<int>()).ToArray();
        var ended = new bool[prompts.Count];
        for (var place = 0; place < maxNewTokens && !Array.TrueForAll(ended, e => e); place++)
        {
            eachToken();
            var logits = model.Decode(input, cache, mask).to(ScalarType.Float32);
            // Looked at together with the tokens, which the host waits for; a draw from NaN would end the device's context.
            var sound = logits.isfinite().all();
            logits = logits.nan_to_num();
            var next = temperature > 0
                ? multinomial((logits / temperature).softmax(-1), 1)
                : logits.argmax(-1, keepdim: true);
            Take(next, sound, said, ended, special.Eos);
            input = next;
            mask = cat([mask, ones_like(next, dtype: ScalarType.Bool)], 1);
        }
        return [.. prompts.Select((prompt, i) => new Output(prompt, [.. said[i]], ended[i]))];
    }

    private static void Take(Tensor next, Tensor sound, List<int>[] said, bool[] ended, int eos)
    {
        var tokens = cat([next.reshape(-1), sound.to(ScalarType.Int64).reshape(1)]).cpu().data<long>().ToArray();
        if (tokens[^1] == 0)
        {
            throw new NotFiniteException(new NotFinite { What = "logit of a sampled answer", Value = double.NaN });
        }
        for (var row = 0; row < tokens.Length - 1; row++)
        {
            if (!ended[row])
            {
                said[row].Add((int)tokens[row]);
                ended[row] = tokens[row] == eos;
            }
        }
    }
}
