using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Throughput;

/// <summary>What a GPU can do at best, from its vendor's data sheet: dense figures, without sparsity.</summary>
/// <param name="Bf16Tflops">Peak of BF16 matrix products.</param>
/// <param name="Fp8Tflops">Peak of FP8 matrix products; equal to BF16 where the GPU has no FP8.</param>
/// <param name="MemoryBytes">As the vendor counts it: 80 GB are 80e9 bytes.</param>
/// <param name="NvlinkBytesPerSecond">One direction, to the GPUs of its node.</param>
/// <param name="FabricBytesPerSecond">One direction, to other nodes; what a NIC of its own reaches in practice.</param>
public sealed record Gpu(
    string Name, double Bf16Tflops, double Fp8Tflops, double MemoryBytes, double NvlinkBytesPerSecond, double FabricBytesPerSecond)
{
    /// <summary>By the name in a pipeline's resources. H800 links: measured in "Insights into DeepSeek-V3", arXiv 2505.09343.</summary>
    public static ImmutableSortedDictionary<string, Gpu> All { get; } = new Gpu[]
    {
        new("a100", 312, 312, 80e9, 300e9, 20e9),
        new("h100", 989.5, 1979, 80e9, 450e9, 40e9),
        new("h200", 989.5, 1979, 141e9, 450e9, 40e9),
        new("h800", 989.5, 1979, 80e9, 160e9, 40e9),
    }.ToImmutableSortedDictionary(g => g.Name, g => g, StringComparer.Ordinal);

    public double PeakTflops(Recipes.Precision precision) => precision == Recipes.Precision.Fp8 ? Fp8Tflops : Bf16Tflops;
}
