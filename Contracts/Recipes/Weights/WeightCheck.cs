namespace DeepSeekOps.Recipes.Weights;

/// <summary>What multiplies a float8 weight: one number for all of it, for each row, or for each block.</summary>
public sealed record WeightScale(string Tensor, ScaleBlock Block);

/// <summary>What is to be known of a folder of weights before its numbers are read.</summary>
/// <param name="AbsentMtp">Prefixes of MTP modules that the shape has and the folder has not.</param>
/// <param name="Notes">What is there and not used, for people.</param>
public sealed record WeightPlan(IReadOnlyDictionary<string, WeightScale> Scales, IReadOnlyList<string> AbsentMtp,
    IReadOnlyList<string> Notes);

/// <summary>
/// Compares the tensors of a folder with those of a shape: every one there, of its size and in a type that is read, each float8 one with
/// its scale, and none left over that would change the numbers. Submission and rank ask this.
/// </summary>
public static class WeightCheck
{
    private const string Fix = "Name the folder as it was published, or convert its weights to bfloat16.";

    /// <summary>Scales of activations and of the cache: nothing of that is quantised here, weights are trained in 32 bits.</summary>
    private static readonly string[] OfActivations = [".input_scale", ".k_scale", ".v_scale", ".q_scale"];

    /// <exception cref="CheckpointFormatException">The weights are not those of the shape, or have what is not understood.</exception>
    public static WeightPlan Compare(ModelShape shape, Quantization quantization, WeightList list)
    {
        var notes = list.Note is null ? new List<string>() : [list.Note];
        string[] absent = [.. Enumerable.Range(shape.Layers, shape.MtpDepth).Select(WeightShapes.Layer)
            .Where(prefix => !list.Tensors.Keys.Any(n => n.StartsWith(prefix, StringComparison.Ordinal)))];
        var wanted = WeightShapes.Published(shape)
            .Where(w => !absent.Any(prefix => w.Name.StartsWith(prefix, StringComparison.Ordinal))).ToList();
        string[] missing = [.. wanted.Select(w => w.Name).Where(n => !list.Tensors.ContainsKey(n))];
        if (missing.Length > 0)
        {
            var more = missing.Length > 1 ? $" and {missing.Length - 1} more of the {wanted.Count} that its config.json speaks of" : "";
            throw new CheckpointFormatException(
                $"'{list.Folder}' has no tensor {missing[0]}{more}.",
                "Copy the checkpoint again, with every shard and the index of its own.");
        }

        var scales = new Dictionary<string, WeightScale>(StringComparer.Ordinal);
        foreach (var weight in wanted)
        {
            Check(weight, list, quantization, scales);
        }

        var used = wanted.Select(w => w.Name).Concat(scales.Values.Select(s => s.Tensor)).ToHashSet(StringComparer.Ordinal);
        LeftOver(list.Tensors.Keys.Where(n => !used.Contains(n)).Order(StringComparer.Ordinal), shape, list, notes);
        return new WeightPlan(scales, absent, notes);
    }

    private static void Check(WeightShape weight, WeightList list, Quantization quantization, Dictionary<string, WeightScale> scales)
    {
        var (file, entry) = list.Tensors[weight.Name];
        var path = Path.Combine(list.Folder, file);
        if (!entry.Shape.AsSpan().SequenceEqual(weight.Dimensions))
        {
            throw new CheckpointFormatException(
                $"{path}: tensor {weight.Name} is [{string.Join(", ", entry.Shape)}], the model needs "
                    + $"[{string.Join(", ", weight.Dimensions)}].",
                "The weights belong to a model of another shape than config.json describes: copy both again.");
        }

        if (!ElementTypes.OfWeights.Contains(entry.Type))
        {
            throw new CheckpointFormatException(
                $"{path}: tensor {weight.Name} is {entry.Type}; weights are read as {string.Join(", ", ElementTypes.OfWeights)}.", Fix);
        }

        if (entry.Type == ElementTypes.Float8 && ScaleOf(weight, list, quantization) is { } scale)
        {
            scales.Add(weight.Name, scale);
        }
    }

    /// <summary>Null: float8 as such, which nothing scales.</summary>
    private static WeightScale? ScaleOf(WeightShape weight, WeightList list, Quantization quantization)
    {
        string[] found = [.. new[] { weight.Name + "_scale_inv", weight.Name + "_scale" }.Where(list.Tensors.ContainsKey)];
        if (found.Length != 1)
        {
            return found.Length == 0 && quantization.Method.Length == 0 ? null : throw new CheckpointFormatException(
                $"'{list.Folder}': tensor {weight.Name} is float8 and has "
                + $"{(found.Length == 0 ? $"no {weight.Name}_scale_inv or {weight.Name}_scale" : "two scales")}.", Fix);
        }

        var (file, entry) = list.Tensors[found[0]];
        var path = Path.Combine(list.Folder, file);
        if (!ElementTypes.OfScales.Contains(entry.Type))
        {
            throw new CheckpointFormatException(
                $"{path}: the scale {entry.Name} is {entry.Type}; scales are read as {string.Join(", ", ElementTypes.OfScales)}.", Fix);
        }

        return BlockOf(entry.Shape, weight.Dimensions, quantization.Block) is { } block ? new WeightScale(entry.Name, block)
            : throw new CheckpointFormatException(
                $"{path}: the scale {entry.Name} is [{string.Join(", ", entry.Shape)}], which is neither one for {weight.Name} "
                + $"[{string.Join(", ", weight.Dimensions)}], nor one a row, nor one for each block of {quantization.Block.Rows} × "
                + $"{quantization.Block.Columns}.", Fix);
    }

    private static ScaleBlock? BlockOf(long[] scale, long[] weight, ScaleBlock block)
    {
        if (weight is not [var rows, var columns])
        {
            return scale is [] or [1] && weight.Length == 1 ? new ScaleBlock(weight[0], 1) : null;
        }

        return scale switch
        {
            [] or [1] => new ScaleBlock(rows, columns),
            [var ofRows] when ofRows == rows => new ScaleBlock(1, columns),
            [var high, var wide] when high == Up(rows, block.Rows) && wide == Up(columns, block.Columns) => block,
            [1, 1] => new ScaleBlock(rows, columns),
            [var ofRows, 1] when ofRows == rows => new ScaleBlock(1, columns),
            _ => null,
        };
    }

    private static long Up(long length, long block) => (length + block - 1) / block;

    private static void LeftOver(IEnumerable<string> names, ModelShape shape, WeightList list, List<string> notes)
    {
        var unknown = new List<string>();
        var activations = 0;
        foreach (var name in names)
        {
            if (Array.Exists(OfActivations, end => name.EndsWith(end, StringComparison.Ordinal)))
            {
                activations++;
            }
            else if (CopyOf(name, shape, list) is { } original)
            {
                RequireSame(name, original, list, shape);
            }
            else if (!IsIdle(name, shape, list))
            {
                unknown.Add(name);
            }
        }

        if (unknown.Count > 0)
        {
            var more = unknown.Count > 1 ? $" and {unknown.Count - 1} more" : "";
            throw new CheckpointFormatException(
                $"'{list.Folder}' has the tensor {unknown[0]}{more}, which the model of its config.json has not: "
                + "what it would change is not known.",
                "Name the folder of a plain DeepSeek-V2 or V3, merged and not adapted, with the config.json of its own.");
        }

        if (activations > 0)
        {
            notes.Add($"'{list.Folder}' has {activations} scales of activations: they are not used, training quantises no activations.");
        }
    }

    /// <summary>
    /// Of a model whose head is its embedding, the head that some programs store all the same; of trained modules for further tokens (MTP),
    /// the embedding and the head of the main model, which the published files repeat. Null: it is no copy.
    /// </summary>
    private static string? CopyOf(string name, ModelShape shape, WeightList list)
    {
        if (name == WeightShapes.Head)
        {
            return shape.TiedEmbeddings ? WeightShapes.Embedding : null;
        }

        return IsOfMtp(name, shape, list, out var number, out var part) && number < shape.Layers + shape.MtpDepth ? part switch
        {
            "embed_tokens.weight" => WeightShapes.Embedding,
            "shared_head.head.weight" => shape.TiedEmbeddings ? WeightShapes.Embedding : WeightShapes.Head,
            _ => null,
        } : null;
    }

    /// <summary>Only one of the two is used; where they differ, leaving one out would change the numbers.</summary>
    private static void RequireSame(string name, string original, WeightList list, ModelShape shape)
    {
        if (!SameNumbers.In(list, name, original))
        {
            var tied = name == WeightShapes.Head;
            throw new CheckpointFormatException(
                $"'{list.Folder}': tensor {name} is not the same as {original}, "
                + (tied ? "although tie_word_embeddings of its config.json says that they are one."
                    : "which it shares with the main model here."),
                tied ? "Write \"tie_word_embeddings\": false into config.json if the head is to be used, or take "
                    + "the tensor out of the file."
                    : $"Write \"num_nextn_predict_layers\": {Math.Max(0, shape.MtpDepth - 1)} into config.json to leave the module out, or "
                        + "take the tensor out of the file.");
        }
    }

    /// <summary>
    /// Known tensors that change nothing: tables that are computed, and modules for further tokens (MTP) beyond those that are trained.
    /// </summary>
    private static bool IsIdle(string name, ModelShape shape, WeightList list) =>
        name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
        || (IsOfMtp(name, shape, list, out var number, out _) && number >= shape.Layers + shape.MtpDepth);

    private static bool IsOfMtp(string name, ModelShape shape, WeightList list, out int number, out string part)
    {
        number = 0;
        part = name.Split('.', 4) is ["model", "layers", var layer, var rest] && int.TryParse(layer, out number) && number >= shape.Layers
            && list.Tensors.ContainsKey($"model.layers.{layer}.eh_proj.weight") ? rest : "";
        return part.Length > 0;
    }
}
