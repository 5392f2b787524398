using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Health;

/// <summary>How the tokens of one optimizer step spread over the routed experts, as rank 0 told it.</summary>
/// <param name="FirstLayer">Number of the first row's layer; a row for each MoE layer, then one for each MTP block.</param>
/// <param name="Experts">Routed experts of a layer: the length of a row.</param>
/// <param name="Ratios">Row after row: tokens of each expert over the mean of its layer.</param>
public sealed record ExpertLoad(
    long Step, DateTimeOffset At, int Attempt, int FirstLayer, int MtpBlocks, int Experts, ImmutableArray<float> Ratios)
{
    public ImmutableArray<LayerBalance> Layers() => [.. Enumerable.Range(0, Rows).Select(row => LayerBalance.Of(NameOf(row), Row(row)))];

    public ImmutableArray<float> Row(int row) => Ratios.Slice(row * Experts, Experts);

    private int Rows => Ratios.Length / Experts;

    private string NameOf(int row) => row < Rows - MtpBlocks
        ? (FirstLayer + row).ToString(CultureInfo.InvariantCulture)
        : string.Create(CultureInfo.InvariantCulture, $"mtp {row - (Rows - MtpBlocks) + 1}");
}

/// <summary>One layer of an <see cref="ExpertLoad"/> in figures. A ratio is an expert's tokens over the mean of the layer.</summary>
/// <param name="Name">"3", or "mtp 1".</param>
/// <param name="Variation">Standard deviation of the ratios, whose mean is 1: 0 is perfect balance.</param>
/// <param name="WithoutTokens">Share of the experts that no token went to.</param>
public sealed record LayerBalance(string Name, double Busiest, int BusiestExpert, double Idlest, double Variation, double WithoutTokens)
{
    public static LayerBalance Of(string name, ImmutableArray<float> ratios)
    {
        float busiest = ratios.Max();
        double mean = ratios.Average(ratio => (double)ratio);
        double variance = ratios.Average(ratio => (ratio - mean) * (ratio - mean));
        return new LayerBalance(
            name, busiest, ratios.IndexOf(busiest), ratios.Min(), mean > 0 ? Math.Sqrt(variance) / mean : 0,
            ratios.Count(ratio => ratio <= 0) / (double)ratios.Length);
    }
}
