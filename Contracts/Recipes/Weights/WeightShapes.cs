namespace DeepSeekOps.Recipes.Weights;

/// <summary>One tensor of a model. A trained one is a leaf with a gradient; the router's correction bias is not trained.</summary>
public sealed record WeightShape(string Name, long[] Dimensions, bool Trained = true)
{
    public long Elements => Dimensions.Aggregate(1L, (product, dimension) => product * dimension);
}

/// <summary>
/// Names and shapes of all tensors of a model, without allocating any. The routed experts of a layer are two stacked tensors
/// in memory (gate and up together), so that one grouped product serves them all; <see cref="Parts"/> takes them apart.
/// </summary>
public static class WeightShapes
{
    public const string Embedding = "model.embed_tokens.weight";
    public const string FinalNorm = "model.norm.weight";
    public const string Head = "lm_head.weight";
    private const string GateUp = "experts.gate_up_proj";
    private const string Down = "experts.down_proj";
    private const string ExpertsInPublished = ".mlp.experts.";

    /// <summary>Layers of the main model, then one per MTP depth, numbered on from there as in the published checkpoints.</summary>
    public static IEnumerable<WeightShape> Of(ModelShape shape)
    {
        long hidden = shape.HiddenSize;
        yield return new(Embedding, [shape.VocabSize, hidden]);
        for (var layer = 0; layer < shape.Layers + shape.MtpDepth; layer++)
        {
            var prefix = Layer(layer);
            if (layer >= shape.Layers)
            {
                yield return new(prefix + "enorm.weight", [hidden]);
                yield return new(prefix + "hnorm.weight", [hidden]);
                yield return new(prefix + "eh_proj.weight", [hidden, 2 * hidden]);
                yield return new(prefix + "shared_head.norm.weight", [hidden]);
            }

            yield return new(prefix + "input_layernorm.weight", [hidden]);
            foreach (var weight in Attention(shape, prefix + "self_attn."))
            {
                yield return weight;
            }

            yield return new(prefix + "post_attention_layernorm.weight", [hidden]);
            foreach (var weight in shape.IsMoe(layer) ? Moe(shape, prefix + "mlp.") : Mlp(hidden, shape.IntermediateSize, prefix + "mlp."))
            {
                yield return weight;
            }
        }

        yield return new(FinalNorm, [hidden]);
        if (!shape.TiedEmbeddings)
        {
            yield return new(Head, [shape.VocabSize, hidden]);
        }
    }

    /// <summary>Parameters as the report counts them, the routers' correction biases included.</summary>
    public static long Count(ModelShape shape) => Of(shape).Sum(w => w.Elements);

    /// <summary>Parameters that one token passes through; of the routed experts only the active share.</summary>
    public static long CountActive(ModelShape shape) => Of(shape)
        .Sum(w => IsExperts(w.Name) ? w.Elements / shape.RoutedExperts * shape.ActiveExperts : w.Elements);

    public static string Layer(int layer) => $"model.layers.{layer}.";

    /// <summary>The layer a weight belongs to; null: to none, as embedding, last norm and head.</summary>
    public static int? LayerOf(string name)
    {
        const string Layers = "model.layers.";
        return name.StartsWith(Layers, StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(Layers.Length, Math.Max(0, name.IndexOf('.', Layers.Length) - Layers.Length)), out var layer)
            ? layer : null;
    }

    public static bool IsExperts(string name) =>
        name.EndsWith(GateUp, StringComparison.Ordinal) || name.EndsWith(Down, StringComparison.Ordinal);

    /// <summary>The number of the routed expert that a published tensor belongs to; null: to none.</summary>
    public static int? ExpertOf(string published)
    {
        var at = published.IndexOf(ExpertsInPublished, StringComparison.Ordinal) + ExpertsInPublished.Length;
        return at >= ExpertsInPublished.Length && published.IndexOf('.', at) is > 0 and var end
            && int.TryParse(published.AsSpan(at, end - at), out var expert) ? expert : null;
    }

    /// <summary>The same under the published names: each expert has three tensors of its own.</summary>
    public static IEnumerable<WeightShape> Published(ModelShape shape) => Of(shape).SelectMany(Published);

    /// <summary>The published tensors that a stacked one holds: name, place in it, and its rows there.</summary>
    /// <param name="firstExpert">The model's number of the first expert that is stacked.</param>
    public static IEnumerable<(string Name, int Expert, long From, long Rows)> Parts(string name, long[] dimensions, int firstExpert = 0)
    {
        var prefix = name[..(name.LastIndexOf('.') + 1)];
        for (var expert = 0; expert < dimensions[0]; expert++)
        {
            if (name.EndsWith(Down, StringComparison.Ordinal))
            {
                yield return ($"{prefix}{firstExpert + expert}.down_proj.weight", expert, 0, dimensions[1]);
                continue;
            }

            var intermediate = dimensions[1] / 2;
            yield return ($"{prefix}{firstExpert + expert}.gate_proj.weight", expert, 0, intermediate);
            yield return ($"{prefix}{firstExpert + expert}.up_proj.weight", expert, intermediate, intermediate);
        }
    }

    private static IEnumerable<WeightShape> Published(WeightShape weight) => IsExperts(weight.Name)
        ? Parts(weight.Name, weight.Dimensions)
            .Select(part => weight with { Name = part.Name, Dimensions = [part.Rows, weight.Dimensions[2]] })
        : [weight];

    private static IEnumerable<WeightShape> Attention(ModelShape shape, string prefix)
    {
        long hidden = shape.HiddenSize, queries = (long)shape.Heads * shape.QkHeadDim;
        if (shape.QLoraRank == 0)
        {
            yield return new(prefix + "q_proj.weight", [queries, hidden]);
        }
        else
        {
            yield return new(prefix + "q_a_proj.weight", [shape.QLoraRank, hidden]);
            if (shape.AttentionBias)
            {
                yield return new(prefix + "q_a_proj.bias", [shape.QLoraRank]);
            }

            yield return new(prefix + "q_a_layernorm.weight", [shape.QLoraRank]);
            yield return new(prefix + "q_b_proj.weight", [queries, shape.QLoraRank]);
        }

        yield return new(prefix + "kv_a_proj_with_mqa.weight", [shape.KvLoraRank + shape.QkRopeHeadDim, hidden]);
        if (shape.AttentionBias)
        {
            yield return new(prefix + "kv_a_proj_with_mqa.bias", [shape.KvLoraRank + shape.QkRopeHeadDim]);
            yield return new(prefix + "o_proj.bias", [hidden]);
        }

        yield return new(prefix + "kv_a_layernorm.weight", [shape.KvLoraRank]);
        yield return new(prefix + "kv_b_proj.weight", [(long)shape.Heads * (shape.QkNopeHeadDim + shape.VHeadDim), shape.KvLoraRank]);
        yield return new(prefix + "o_proj.weight", [hidden, (long)shape.Heads * shape.VHeadDim]);
    }

    private static IEnumerable<WeightShape> Moe(ModelShape shape, string prefix)
    {
        long hidden = shape.HiddenSize, intermediate = shape.MoeIntermediateSize;
        yield return new(prefix + "gate.weight", [shape.RoutedExperts, hidden]);
        if (shape.Routing == RoutingMethod.SigmoidWithBias)
        {
            yield return new(prefix + "gate.e_score_correction_bias", [shape.RoutedExperts], Trained: false);
        }

        yield return new(prefix + GateUp, [shape.RoutedExperts, 2 * intermediate, hidden]);
        yield return new(prefix + Down, [shape.RoutedExperts, hidden, intermediate]);
        if (shape.SharedExperts > 0)
        {
            foreach (var weight in Mlp(hidden, shape.SharedExperts * intermediate, prefix + "shared_experts."))
            {
                yield return weight;
            }
        }
    }

    private static IEnumerable<WeightShape> Mlp(long hidden, long intermediate, string prefix)
    {
        yield return new(prefix + "gate_proj.weight", [intermediate, hidden]);
        yield return new(prefix + "up_proj.weight", [intermediate, hidden]);
        yield return new(prefix + "down_proj.weight", [hidden, intermediate]);
    }
}
