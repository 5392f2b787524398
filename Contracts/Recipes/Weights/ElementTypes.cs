namespace DeepSeekOps.Recipes.Weights;

/// <summary>
/// Element types by the names of the safetensors format. Those that weights may have are fewer than those a file may hold.
/// </summary>
public static class ElementTypes
{
    public const string Float8 = "F8_E4M3";

    private static readonly Dictionary<string, int> Bits = new(StringComparer.Ordinal)
    {
        ["BOOL"] = 8, ["U8"] = 8, ["I8"] = 8, ["I16"] = 16, ["U16"] = 16, ["I32"] = 32, ["U32"] = 32, ["I64"] = 64, ["U64"] = 64,
        ["F16"] = 16, ["BF16"] = 16, ["F32"] = 32, ["F64"] = 64, ["C64"] = 64, [Float8] = 8, ["F8_E5M2"] = 8, ["F8_E8M0"] = 8,
        ["F8_E4M3FNUZ"] = 8, ["F8_E5M2FNUZ"] = 8, ["F4"] = 4, ["F6_E2M3"] = 6, ["F6_E3M2"] = 6,
    };

    public static IReadOnlyList<string> OfWeights { get; } = ["F64", "F32", "F16", "BF16", Float8];

    public static IReadOnlyList<string> OfScales { get; } = ["F64", "F32", "F16", "BF16"];

    public static int? BitsOf(string name) => Bits.TryGetValue(name, out var bits) ? bits : null;
}
