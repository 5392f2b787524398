using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>The operators of libtorch that TorchSharp does not wrap, under their PyTorch names, with autograd.</summary>
public static class Operators
{
    /// <summary>x / sqrt(mean(x²) + eps) · weight over the last dimension.</summary>
    public static Tensor RmsNorm(Tensor x, Tensor weight, double eps) =>
        new DispatcherCall("aten::rms_norm").Tensor(x).Ints(weight.shape[0]).Tensor(weight, optional: true).OptionalFloat(eps).Run();

    /// <summary>Rows of <paramref name="weight"/> [vocab, dim] at <paramref name="ids"/> [...]: [..., dim].</summary>
    public static Tensor Embedding(Tensor weight, Tensor ids) =>
        new DispatcherCall("aten::embedding").Tensor(weight).Tensor(ids).Int(-1).Bool(false).Bool(false).Run();

    /// <summary>
    /// One product per group: rows [offsets[g-1], offsets[g]) of <paramref name="x"/> [tokens, in] times
    /// <paramref name="weight"/>[g] of [groups, in, out]. <paramref name="offsets"/> are int32 ends of the groups; a group may be empty.
    /// </summary>
    public static Tensor GroupedMm(Tensor x, Tensor weight, Tensor offsets) =>
        new DispatcherCall("aten::_grouped_mm").Tensor(x).Tensor(weight).Tensor(offsets, optional: true).None().None().Run();

    /// <summary>Softmax attention with its own scale. q, k [batch, heads, seq, qk_dim], v [batch, heads, seq, v_dim].</summary>
    public static Tensor Attention(Tensor q, Tensor k, Tensor v, Tensor? mask, bool causal, double scale) =>
        new DispatcherCall("aten::scaled_dot_product_attention").Tensor(q).Tensor(k).Tensor(v).Tensor(mask, optional: true)
            .Float(0).Bool(causal).OptionalFloat(scale).Bool(false).Run();

    /// <summary>
    /// a [m, k] · b [k, n] in E4M3 with float32 scales of 1 × 128 tiles or 128 × 128 squares, sums in float32: [m, n]. b and the scales
    /// of tiles are column-major. Hopper, CUDA 12.9 or later.
    /// </summary>
    public static Tensor ScaledMm(Tensor a, Tensor b, Tensor scaleA, Tensor scaleB, ScalarType output) =>
        new DispatcherCall("aten::_scaled_mm").Tensor(a).Tensor(b).Tensor(scaleA).Tensor(scaleB).None().None().OptionalType(output)
            .Bool(false).Run();

    /// <summary>x · sigmoid(x), SwiGLU's gate, in one operator.</summary>
    public static Tensor Silu(Tensor x) => new DispatcherCall("aten::silu").Tensor(x).Run();

    /// <summary>
    /// One AdamW step of all parameters in one operator. <paramref name="steps"/> are float32 scalars that already count this step.
    /// Decoupled decay: w ← w − lr·decay·w before the moment update. Nothing changes where <paramref name="spoilt"/>, a float32 scalar on
    /// the device, is 1.
    /// </summary>
    public static void FusedAdamW(
        IReadOnlyList<Tensor> weights, IReadOnlyList<Tensor> gradients, IReadOnlyList<Tensor> firstMoments,
        IReadOnlyList<Tensor> secondMoments,
        IReadOnlyList<Tensor> steps, double learningRate, double beta1, double beta2, double weightDecay, double epsilon,
        Tensor? spoilt = null) =>
        new DispatcherCall("aten::_fused_adamw_")
            .Tensors(weights).Tensors(gradients).Tensors(firstMoments).Tensors(secondMoments).Tensors([]).Tensors(steps)
            .Float(learningRate).Float(beta1).Float(beta2).Float(weightDecay).Float(epsilon).Bool(false).Bool(false).None()
            .Tensor(spoilt, optional: true)
            .RunInPlace();

    /// <summary>Multiplies each tensor in place by one scalar tensor.</summary>
    public static void ForeachMul(IReadOnlyList<Tensor> tensors, Tensor factor) =>
        new DispatcherCall("aten::_foreach_mul_", "Tensor").Tensors(tensors).Tensor(factor).RunInPlace();
}
