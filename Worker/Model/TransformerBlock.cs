using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>Attention and feed-forward, each on the normed stream and added to it.</summary>
internal sealed class TransformerBlock(ModelShape shape, Weights weights, int layer, ExpertRanks experts)
{
    private readonly string _prefix = WeightShapes.Layer(layer);
    private readonly LatentAttention _attention = new(shape, weights, WeightShapes.Layer(layer) + "self_attn.");
    private readonly MixtureOfExperts? _experts = shape.IsMoe(layer) ? new(shape, weights, WeightShapes.Layer(layer) + "mlp.", experts)
        : null;

    public Tensor Forward(Tensor hidden, Rope rope, Reach reach, bool balance, List<ExpertUse> uses)
    {
        hidden = hidden + _attention.Forward(Norm(hidden, "input_layernorm"), rope, reach);
        var (output, use) = FeedForward(Norm(hidden, "post_attention_layernorm"), balance, reach.Part);
        if (use is not null)
        {
            uses.Add(use);
        }

        return hidden + output;
    }

    public Tensor Decode(Tensor hidden, Rope rope, Tensor latents, long past, Tensor allowed)
    {
        hidden = hidden + _attention.Decode(Norm(hidden, "input_layernorm"), rope, latents, past, allowed);
        return hidden + FeedForward(Norm(hidden, "post_attention_layernorm"), balance: false).Output;
    }

    private (Tensor Output, ExpertUse? Use) FeedForward(Tensor x, bool balance, SequencePart? part = null) =>
        _experts is null ? (SwiGlu.Forward(x, weights, _prefix + "mlp."), null) : _experts.Forward(x, balance, part);

    private Tensor Norm(Tensor x, string name) => Operators.RmsNorm(x, weights[$"{_prefix}{name}.weight"], shape.RmsNormEps);
}
