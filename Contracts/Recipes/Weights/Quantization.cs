using System.Text.Json;

namespace DeepSeekOps.Recipes.Weights;

/// <summary>Elements that share a scale: so many rows and columns of a weight [out, in].</summary>
public readonly record struct ScaleBlock(long Rows, long Columns);

/// <summary>
/// What config.json says of weights in fewer bits. Float8 with scales is understood as DeepSeek-V3 ("fp8", blocks) and compressed-tensors
/// ("float-quantized": a scale per tensor, channel or block) write it; whatever else is there is refused by its field.
/// </summary>
/// <param name="Block">Of scales that are neither one for a tensor nor one for a row.</param>
/// <param name="Method">Empty: config.json says nothing.</param>
public sealed record Quantization(ScaleBlock Block, string Method)
{
    private const string Field = "quantization_config";

    public static readonly Quantization None = new(new ScaleBlock(128, 128), "");

    /// <exception cref="FormatException">A kind that is not understood.</exception>
    internal static Quantization Of(JsonElement config)
    {
        if (JsonText.Some(config, Field) is not { } found)
        {
            return JsonText.Some(config, "compression_config") is null ? None
                : throw new FormatException("compression_config is set, which is not read");
        }

        JsonText.Require(found.ValueKind == JsonValueKind.Object, $"{Field} is not an object");
        var method = JsonText.Some(found, "quant_method") is null ? "" : JsonText.Word(found, "quant_method");
        return method switch
        {
            "fp8" => Fp8(found),
            "compressed-tensors" => Compressed(found),
            _ => throw new FormatException($"{Field}.quant_method is '{JsonText.Short(method)}'; fp8 and "
                + "compressed-tensors with float8 are read"),
        };
    }

    private static Quantization Fp8(JsonElement found)
    {
        Only(found, "fmt", "e4m3", "float8_e4m3fn");
        Only(found, "activation_scheme", "dynamic", "static");
        return new Quantization(Blocks(found, "weight_block_size"), "fp8");
    }

    private static Quantization Compressed(JsonElement found)
    {
        Only(found, "format", "float-quantized", "naive-quantized");
        foreach (var field in (string[])["transform_config", "sparsity_config"])
        {
            // An empty one, or one that says "dense", changes nothing.
            var idle = JsonText.Some(found, field) is not { } part
                || (part.ValueKind == JsonValueKind.Object && (!part.EnumerateObject().Any() || IsDense(part)));
            JsonText.Require(idle, $"{Field}.{field} is set, which is not read");
        }

        var block = None.Block;
        if (JsonText.Some(found, "config_groups") is { ValueKind: JsonValueKind.Object } groups)
        {
            foreach (var group in groups.EnumerateObject().Where(g => g.Value.ValueKind == JsonValueKind.Object))
            {
                if (JsonText.Some(group.Value, "weights") is { ValueKind: JsonValueKind.Object } weights)
                {
                    block = Weights(weights, $"{Field}.config_groups.{JsonText.Short(group.Name)}.weights");
                }
            }
        }

        return new Quantization(block, "compressed-tensors");
    }

    private static bool IsDense(JsonElement part) =>
        part.TryGetProperty("format", out var format) && format.ValueKind == JsonValueKind.String && format.ValueEquals("dense"u8);

    private static ScaleBlock Weights(JsonElement weights, string at)
    {
        JsonText.Require(
            JsonText.Some(weights, "num_bits") is not { } bits || (bits.ValueKind == JsonValueKind.Number && bits.GetDouble() == 8),
            $"{at}.num_bits is not 8");
        Only(weights, "type", "float");
        Only(weights, "strategy", "tensor", "channel", "block");
        JsonText.Require(JsonText.Flag(weights, "symmetric", absent: true), $"{at}.symmetric is false");
        return Blocks(weights, "block_structure");
    }

    private static ScaleBlock Blocks(JsonElement from, string field)
    {
        if (JsonText.Some(from, field) is not { } sizes)
        {
            return None.Block;
        }

        long[] both = sizes.ValueKind == JsonValueKind.Array
            ? [.. sizes.EnumerateArray().Select(s => s.ValueKind == JsonValueKind.Number && s.TryGetInt64(out var size) ? size : 0)] : [];
        return both is [> 0, > 0] ? new ScaleBlock(both[0], both[1])
            : throw new FormatException($"{Field}: {field} is not two numbers from 1");
    }

    private static void Only(JsonElement from, string field, params string[] known)
    {
        if (JsonText.Some(from, field) is not null)
        {
            var word = JsonText.Word(from, field);
            JsonText.Require(known.Contains(word), $"{Field}: {field} is '{JsonText.Short(word)}'; {string.Join(" and ", known)} are read");
        }
    }
}
