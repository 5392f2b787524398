using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// Multi-head latent attention, report section 2.1.1. Keys and values grow from one latent c of kv_lora_rank numbers per token
/// (equations 1 to 5), positions live in a decoupled part of the query and one key shared by all heads (equations 3 and 8).
/// </summary>
internal sealed class LatentAttention(ModelShape shape, Weights weights, string prefix)
{
    // The latents' norms have this epsilon in every published model, whatever rms_norm_eps says.
    private const double LatentEps = 1e-6;

    private readonly long _heads = shape.Heads;
    private readonly long _nope = shape.QkNopeHeadDim;
    private readonly long _rope = shape.QkRopeHeadDim;
    private readonly long _latent = shape.KvLoraRank;

    /// <summary>x [batch, seq, hidden]: of what this rank holds of the sequences, [batch, seq, hidden].</summary>
    public Tensor Forward(Tensor x, Rope rope, Reach reach)
    {
        var (batch, seq) = (x.shape[0], x.shape[1]);
        var rotations = reach.Rotations(rope).unsqueeze(1);
        var query = RotatedQueries(x, rope, rotations).transpose(1, 2); // [batch, heads, seq, qk_head_dim]
        var (latent, keyRope) = Latents(x, rope, rotations);
        if (reach.Part is { } part)
        {
            // All that is read of the other ranks' tokens: keys and values of every head grow from it here.
            var all = part.Gather(cat([latent, keyRope.squeeze(2)], -1)).narrow(1, 0, part.Read);
            (latent, keyRope) = (all.narrow(-1, 0, _latent).contiguous(), all.narrow(-1, _latent, _rope).unsqueeze(2));
        }

        var read = latent.shape[1];
        var keyValue = Project(latent, "kv_b_proj").view(batch, read, _heads, _nope + shape.VHeadDim);
        var key = cat([keyValue.narrow(-1, 0, _nope), keyRope.expand(batch, read, _heads, _rope)], -1).transpose(1, 2);
        var value = keyValue.narrow(-1, _nope, shape.VHeadDim).transpose(1, 2);
        var mixed = reach.Attend(query, key, value, rope.SoftmaxScale);
        return Project(mixed.transpose(1, 2).reshape(batch, seq, _heads * shape.VHeadDim), "o_proj");
    }

    /// <summary>
    /// The same for new tokens after those in the cache, with W_UK and W_UV absorbed into query and output, so that only latents
    /// are read: x [batch, new, hidden], latents [batch, past + new, kv_lora_rank + rope] of this layer (the last ones written here),
    /// allowed [batch or 1, 1, new, past + new] bool.
    /// </summary>
    public Tensor Decode(Tensor x, Rope rope, Tensor latents, long past, Tensor allowed)
    {
        var (batch, fresh, total) = (x.shape[0], x.shape[1], latents.shape[1]);
        var rotations = rope.At(past, fresh).unsqueeze(1);
        var (queryNope, queryRope) = Queries(x, rope, rotations);
        var (latent, keyRope) = Latents(x, rope, rotations);
        latents.narrow(1, past, fresh).copy_(cat([latent, keyRope.squeeze(2)], -1));

        var up = Weight("kv_b_proj").view(_heads, _nope + shape.VHeadDim, _latent);
        var absorbed = queryNope.reshape(batch * fresh, _heads, _nope).transpose(0, 1).bmm(up.narrow(1, 0, _nope))
            .view(_heads, batch, fresh, _latent).permute(1, 0, 2, 3);
        var query = cat([absorbed, queryRope.transpose(1, 2)], -1).reshape(batch, _heads * fresh, _latent + _rope);
        var scores = query.bmm(latents.transpose(1, 2)).mul(rope.SoftmaxScale).view(batch, _heads, fresh, total);

        // Finite instead of -inf: a padding place has nothing to attend to, and NaN there would spread through the cache.
        var attention = scores.masked_fill(allowed.logical_not(), -1e30).softmax(-1).view(batch, _heads * fresh, total);
        var mixed = attention.bmm(latents.narrow(2, 0, _latent)).view(batch, _heads, fresh, _latent)
            .transpose(0, 1).reshape(_heads, batch * fresh, _latent)
            .bmm(up.narrow(1, _nope, shape.VHeadDim).transpose(1, 2)); // [heads, batch * new, v]
        return Project(mixed.transpose(0, 1).reshape(batch, fresh, _heads * shape.VHeadDim), "o_proj");
    }

    /// <summary>Content and position part of the queries side by side: [batch, seq, heads, nope + rope].</summary>
    private Tensor RotatedQueries(Tensor x, Rope rope, Tensor rotations)
    {
        var query = PlainQueries(x);
        return rope.Interleaved && _nope % 8 == 0 && _rope % 8 == 0 && CudaKernels.Serve(query)
            ? RotatedTail.Of(query, rotations.squeeze(1))
            : cat([query.narrow(-1, 0, _nope), rope.Rotate(query.narrow(-1, _nope, _rope), rotations)], -1);
    }

    /// <summary>Content and position part of the queries: [batch, seq, heads, nope] and [batch, seq, heads, rope].</summary>
    private (Tensor Nope, Tensor Rope) Queries(Tensor x, Rope rope, Tensor rotations)
    {
        var query = PlainQueries(x);
        return (query.narrow(-1, 0, _nope), rope.Rotate(query.narrow(-1, _nope, _rope), rotations));
    }

    private Tensor PlainQueries(Tensor x)
    {
        var query = shape.QLoraRank == 0
            ? Project(x, "q_proj")
            : Project(Operators.RmsNorm(Project(x, "q_a_proj"), Weight("q_a_layernorm"), LatentEps), "q_b_proj");
        return query.view(x.shape[0], x.shape[1], _heads, _nope + _rope);
    }

    /// <summary>Normed latent [batch, seq, kv_lora_rank] and rotated shared key [batch, seq, 1, rope].</summary>
    private (Tensor Latent, Tensor Key) Latents(Tensor x, Rope rope, Tensor rotations)
    {
        var compressed = Project(x, "kv_a_proj_with_mqa");
        var latent = Operators.RmsNorm(compressed.narrow(-1, 0, _latent), Weight("kv_a_layernorm"), LatentEps);
        return (latent, rope.Rotate(compressed.narrow(-1, _latent, _rope).unsqueeze(2), rotations));
    }

    private Tensor Project(Tensor x, string name)
    {
        var product = weights.Project(x, $"{prefix}{name}.weight");
        return shape.AttentionBias && weights.Contains($"{prefix}{name}.bias") ? product + weights[$"{prefix}{name}.bias"] : product;
    }

    private Tensor Weight(string name) => weights[$"{prefix}{name}.weight"];
}
