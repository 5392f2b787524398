using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <summary>Sampling on the latent KV cache.</summary>
public sealed partial class DeepSeekModel
{
    /// <summary>
    /// Continues the rows of a cache by tokens [batch, new]: logits of the last place, [batch, vocab]. Rows of unequal length are
    /// padded on the left; then padding [batch, past + new] bool is true at real tokens.
    /// </summary>
    public Tensor Decode(Tensor tokens, LatentCache cache, Tensor? padding = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var hidden = Continue(tokens, cache, padding);
        return Head(Norm(hidden.select(1, tokens.shape[1] - 1), WeightShapes.FinalNorm)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The same with the logits of all new places, [batch, new, vocab], and the hidden states that the MTP module guesses from,
    /// [batch, new, hidden].
    /// </summary>
    public (Tensor Logits, Tensor Hidden) DecodeEach(Tensor tokens, LatentCache cache)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var hidden = Norm(Continue(tokens, cache, padding: null), WeightShapes.FinalNorm);
        return (Head(hidden).MoveToOuterDisposeScope(), hidden.MoveToOuterDisposeScope());
    }

    /// <summary>
    /// The first MTP module's logits, [batch, vocab], of the token after the last of <paramref name="following"/> [batch, new]: the
    /// tokens that come right after the places of <paramref name="hidden"/> [batch, new, hidden] (equation 21). It has a cache of
    /// its own, <see cref="NewDraftCache"/>.
    /// </summary>
    public Tensor DecodeFurther(Tensor hidden, Tensor following, LatentCache cache)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _weights.Round();
        var prefix = WeightShapes.Layer(Shape.Layers);
        var (fresh, past) = (following.shape[1], cache.Length);
        var ahead = Norm(Operators.Embedding(_weights[WeightShapes.Embedding], following), prefix + "enorm.weight");
        var joined = linear(cat([ahead, Norm(hidden, prefix + "hnorm.weight")], -1), _weights[prefix + "eh_proj.weight"]);
        var further = _blocks[Shape.Layers].Decode(joined, _rope, cache.UpTo(0, past + fresh), past, Causal(fresh, past));
        cache.Advance(fresh);
        return Head(Norm(further.select(1, fresh - 1), prefix + "shared_head.norm.weight")).MoveToOuterDisposeScope();
    }

    /// <summary>A cache for sampling that fits this model.</summary>
    public LatentCache NewCache(int batch, int capacity) => new(Shape, batch, capacity, _device, CacheType);

    /// <summary>A cache for <see cref="DecodeFurther"/>.</summary>
    public LatentCache NewDraftCache(int batch, int capacity) => new(Shape with { Layers = 1 }, batch, capacity, _device, CacheType);

    private ScalarType CacheType => _weights.ActivationType;

    /// <summary>The last block's output at the new places, [batch, new, hidden].</summary>
    private Tensor Continue(Tensor tokens, LatentCache cache, Tensor? padding)
    {
        _weights.Round();
        var (fresh, past) = (tokens.shape[1], cache.Length);
        var allowed = Causal(fresh, past);
        if (padding is not null)
        {
            allowed = allowed.logical_and(padding.unsqueeze(1).unsqueeze(1));
        }

        var hidden = Operators.Embedding(_weights[WeightShapes.Embedding], tokens);
        for (var layer = 0; layer < Shape.Layers; layer++)
        {
            hidden = _blocks[layer].Decode(hidden, _rope, cache.UpTo(layer, past + fresh), past, allowed);
        }

        cache.Advance(fresh);
        return hidden;
    }

    private Tensor Causal(long fresh, long past) => ones(fresh, past + fresh, @bool, _device).tril(past).unsqueeze(0).unsqueeze(0);
}
