using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Safetensors;

/// <summary>Element types of safetensors files and libtorch's for them.</summary>
internal static class TensorTypes
{
    /// <summary>libtorch's number for float8_e4m3fn; TorchSharp's enum ends before it.</summary>
    public const ScalarType Float8E4M3 = (ScalarType)24;

    private static readonly Dictionary<string, ScalarType> Known = new(StringComparer.Ordinal)
    {
        ["F64"] = ScalarType.Float64,
        ["F32"] = ScalarType.Float32,
        ["F16"] = ScalarType.Float16,
        ["BF16"] = ScalarType.BFloat16,
        [ElementTypes.Float8] = Float8E4M3,
        ["I64"] = ScalarType.Int64,
        ["I32"] = ScalarType.Int32,
        ["I16"] = ScalarType.Int16,
        ["I8"] = ScalarType.Int8,
        ["U8"] = ScalarType.Byte,
        ["BOOL"] = ScalarType.Bool,
    };

    /// <param name="path">Of the tensor's file.</param>
    public static ScalarType TypeOf(TensorEntry entry, string path) => Known.TryGetValue(entry.Type, out var type) ? type
        : throw new CheckpointFormatException($"{path}: tensor {entry.Name} is {entry.Type}; {string.Join(", ", Known.Keys)} are read.");

    public static string NameOf(ScalarType type) =>
        Known.FirstOrDefault(k => k.Value == type).Key
        ?? throw new ArgumentException($"a tensor of {type} cannot be kept in safetensors; known are {string.Join(", ", Known.Keys)}");
}
