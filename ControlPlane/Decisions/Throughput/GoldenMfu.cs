using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Throughput;

/// <summary>A published figure beside what its formula gives.</summary>
/// <param name="Computed">In per cent, or in the unit that the id names.</param>
/// <param name="Published">Null: our correction, published nowhere.</param>
/// <param name="Reproducible">False: the source claims it, and its printed formula gives something else.</param>
public sealed record GoldenFigure(string Id, double Computed, double? Published, bool Reproducible, string Source);

/// <summary>The published utilisation figures of DeepSeek-V3, each from its own formula.</summary>
/// <remarks>
/// Slides: "DeepSeek V3 insights" (chenzomi12/AIFoundation). V3: arXiv 2412.19437. ISCA: "Insights into DeepSeek-V3", arXiv 2505.09343.
/// </remarks>
public static class GoldenMfu
{
    private const double Gibi = 1024.0 * 1024 * 1024;
    private const double PretrainingHours = 2.664e6;
    private const double Tokens = 14.8e12;
    private const double Peak = 989.5;

    /// <summary>ISCA prints its utilisation against 989, not 989.5.</summary>
    private const double IscaPeak = 989;
    private const int IscaGpus = 2048;

    private static readonly TokenFlops V3 = TokenFlops.Of(ModelShape.V3, 4096);

    public static ImmutableArray<GoldenFigure> Table { get; } = [.. Slides(), .. Isca(), .. Corrected()];

    private static IEnumerable<GoldenFigure> Slides()
    {
        yield return new("slides-37.2", Percent(SlideUnits(V3.SlidesTraining / Gibi)), 37.2, true,
            "slides' formula; FLOPs by 1024³, hours by 1024, peak decimal; 2664K h, 989.5 TFLOPS");
        yield return new("slides-decimal", Percent(Mfu.OfHours(V3.SlidesTraining, Tokens, PretrainingHours, Peak)), null, true,
            "the same formula with decimal units throughout");
        yield return new("6nd-v3", Percent(Mfu.OfHours(6 * 37e9, Tokens, 2.8e6, 989)), 32.96, true,
            "slides: 6·N·D, N = 37B, 2.8M h, no attention");
        yield return new("8nd-v3", Percent(Mfu.OfHours(8 * 37e9, Tokens, 2.8e6, 989)), 43.94, true,
            "slides: 8·N·D, N = 37B, 2.8M h, no attention");
        yield return new("6nd-llama-405b", Percent(Mfu.OfHours(6 * 405e9, 15.6e12, 30.8e6, 989)), 34.57, true,
            "slides: 6·N·D, N = 405B, 15.6T, 30.8M h");
        yield return new("8nd-llama-405b", Percent(Mfu.OfHours(8 * 405e9, 15.6e12, 30.8e6, 989)), 46.09, true,
            "slides: 8·N·D, N = 405B, 15.6T, 30.8M h");
        double attention = 3 * V3.Core / Gibi;
        yield return new("slides-34", Percent(SlideUnits((6 * 37) + attention)), 34, false,
            "claimed by the slides, not reproducible: computed is what the printed 6·N·D with attention gives in the slides' units");
        yield return new("slides-43", Percent(SlideUnits((8 * 37) + attention)), 43, false,
            "claimed by the slides, not reproducible: computed is what the printed 8·N·D with attention gives in the slides' units");
        yield return new("slides-34-decimal", Percent(Mfu.OfHours((6 * 37e9) + V3.NonCausalExtra, Tokens, PretrainingHours, Peak)), 34,
            false,
            "the printed 6·N·D with attention in decimal units");
        yield return new("slides-43-decimal", Percent(Mfu.OfHours((8 * 37e9) + V3.NonCausalExtra, Tokens, PretrainingHours, Peak)), 43,
            false,
            "the printed 8·N·D with attention in decimal units");
    }

    private static IEnumerable<GoldenFigure> Isca()
    {
        foreach (var (fabric, tokensPerDay, causal, nonCausal) in new[] { ("mpft", 272.80e9, 38.94, 43.73),
            ("mrft", 272.52e9, 38.90, 43.68) })
        {
            double perSecond = tokensPerDay / 86400;
            string source = $"ISCA table 4, {fabric.ToUpperInvariant()}: {tokensPerDay / 1e9:0.00}B tokens per day on 2048 GPUs, peak 989";
            yield return new($"isca-{fabric}-causal", Percent(Mfu.OfThroughput(V3.SlidesTraining, perSecond, IscaGpus, IscaPeak)), causal,
                true, source);
            yield return new($"isca-{fabric}-non-causal",
                Percent(Mfu.OfThroughput(V3.SlidesTraining + V3.NonCausalExtra, perSecond, IscaGpus, IscaPeak)), nonCausal, true, source);
        }
        double mpft = 272.80e9 / 86400 / IscaGpus / 1e12;
        yield return new("isca-causal-tflops", V3.SlidesTraining * mpft, 385, true, "ISCA table 4: TFLOPS per GPU, causal");
        yield return new("isca-non-causal-tflops", (V3.SlidesTraining + V3.NonCausalExtra) * mpft, 432, true,
            "ISCA table 4: TFLOPS per GPU, non-causal");
        yield return new("isca-gflop-per-token", V3.SlidesTraining / 1e9, 250, true, "ISCA table 2: training cost in GFLOP per token");
    }

    private static IEnumerable<GoldenFigure> Corrected()
    {
        double main = 3 * V3.MainForward;
        GoldenFigure Figure(string id, double flops, double peak, string source) =>
            new(id, Percent(Mfu.OfHours(flops, Tokens, PretrainingHours, peak)), null, true, source);

        yield return Figure("corrected-causal", main, Peak, "matrix products with gate, no embedding; 2664K h (V3 table 1)");
        yield return Figure("corrected-non-causal", main + V3.NonCausalExtra, Peak, "the same with the full attention square");
        yield return Figure("corrected-mtp-causal", V3.Training, Peak,
            "matrix products with gate and multi-token prediction; what live figures count");
        yield return Figure("corrected-mtp-non-causal", V3.Training + V3.NonCausalExtra + (3 * V3.MtpCore), Peak,
            "the same with the full attention square");
        yield return Figure("fp8-peak", main, 1979, "corrected-causal against the FP8 peak of 1979 TFLOPS");
        double ideal = (3 * V3.Fp8Forward / 1979e12) + ((main - (3 * V3.Fp8Forward)) / (Peak * 1e12));
        yield return new("fp8-bf16-roofline", Percent(ideal * Tokens / (PretrainingHours * 3600)), null, true,
            "time at the peaks, FP8 products at 1979 and the rest at 989.5 TFLOPS, over time paid");
        yield return new("llama-405b-attention", Percent(Mfu.OfHours(LlamaTraining, 15.6e12, 30.84e6, 989)), null, true,
            "Llama 3.1 405B with attention: 126 layers, width 16384, 8K sequences, causal; 30.84M h, 15.6T");
    }

    /// <summary>6·N and, for each of 126 layers, causal attention over 8192 tokens of width 16384.</summary>
    private const double LlamaTraining = (6 * 405e9) + (3 * 126 * 2.0 * 8192 * 16384);

    /// <summary>As the slides mix them: giga-FLOPs and tera-tokens over kilo-seconds of 1024.</summary>
    private static double SlideUnits(double gigaFlopsPerToken) => gigaFlopsPerToken * 14.8 / (2.664 * 3600 / 1024 * Peak);

    private static double Percent(double share) => share * 100;
}
