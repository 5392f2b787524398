using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>Element types of safetensors files and libtorch's for them.</summary>
internal static class TensorTypes
{
    /// <summary>libtorch's number for float8_e4m3fn; TorchSharp's enum ends before it.</summary>
    public const ScalarType Float8E4M3 = (ScalarType)24;

    private static readonly Dictionary<string, (ScalarType Type, int Bytes)> Known = new(StringComparer.Ordinal)
    {
        ["F64"] = (ScalarType.Float64, 8),
        ["F32"] = (ScalarType.Float32, 4),
        ["F16"] = (ScalarType.Float16, 2),
        ["BF16"] = (ScalarType.BFloat16, 2),
        ["F8_E4M3"] = (Float8E4M3, 1),
        ["I64"] = (ScalarType.Int64, 8),
        ["I32"] = (ScalarType.Int32, 4),
        ["I16"] = (ScalarType.Int16, 2),
        ["I8"] = (ScalarType.Int8, 1),
        ["U8"] = (ScalarType.Byte, 1),
        ["BOOL"] = (ScalarType.Bool, 1),
    };

    public static IEnumerable<string> Names => Known.Keys;

    public static int? BytesPerElement(string name) => Known.TryGetValue(name, out var known) ? known.Bytes : null;

    public static ScalarType TypeOf(string name) => Known[name].Type;

    public static string NameOf(ScalarType type) =>
        Known.FirstOrDefault(k => k.Value.Type == type).Key
        ?? throw new ArgumentException($"a tensor of {type} cannot be kept in safetensors; known are {string.Join(", ", Names)}");
}
