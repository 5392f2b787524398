using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>What a forecast rests on and how far it may be off, in words.</summary>
internal static class CalibrationWords
{
    private const int CalibratedGpus = 2048;

    /// <summary>Nothing is said of the error of times where no stage is timed.</summary>
    public static ImmutableArray<string> Of(PipelineSpec spec)
    {
        if (!spec.Stages.Any(s => Gpu.All.ContainsKey(spec.ResourcesOf(s).Gpu)))
        {
            return ["no stage names a GPU, so nothing is timed and no error is stated; checkpoint write 10 GiB/s "
                + "per node (arXiv 2408.14158)"];
        }

        return
        [
            $"kernel efficiency {Calibration.KernelEfficiency} of the FP8/BF16 roofline, exposed communication included "
                + "(ISCA table 4, busy 17.55 s)",
            .. spec.Precision == Precision.Fp8 ? Array.Empty<string>() :
            [
                $"{spec.Precision.ToString().ToLowerInvariant()}: products that FP8 training makes in FP8 reach "
                    + $"{Calibration.ProductEfficiency:0 %} of either peak,"
                    + " all else takes as long as in FP8 (assumed)",
            ],
            $"chunk parts in ms: forward {Calibration.Chunk.Forward * 1e3:0.0}, "
                + $"input gradient {Calibration.Chunk.InputBackward * 1e3:0.0}, "
                + $"weight gradient {Calibration.Chunk.WeightBackward * 1e3:0.0}, "
                + $"forward with backward {Calibration.Chunk.Overlapped * 1e3:0.0} (ISCA table 4)",
            $"bubble = that of the schedule played with these parts x {Calibration.BubbleOverSimulated} (ISCA table 4: 2.06 s measured)",
            $"optimizer {Calibration.OptimizerSeconds} s per step with {Calibration.OptimizerBytes / 1e9:0.0} GB of states per GPU (ISCA "
                + "table 4), in proportion to them",
            "checkpoint write 10 GiB/s per node (arXiv 2408.14158), copy to host 25 GB/s (assumed)",
            $"{Calibration.TokensPerInstance} tokens per instance and output (assumed from report section 5.4); "
                + "decoding 22 tokens/s per output, 14.8K per node (open-infra-index)",
            $"{Calibration.FailuresPerThousandNodeDays} failures per 1000 node-days (arXiv 2407.21783 table 5), recovery 5 "
                + "min, repair 24 h (assumed)",
            Error(spec),
        ];
    }

    private static string Error(PipelineSpec spec)
    {
        const string AtPoint = "stated error: pretraining and step time 1 % at the calibrated point (V3, 2048 H800, FP8)";
        string[] others = [.. Elsewhere(spec)];
        return others.Length == 0
            ? $"{AtPoint}, context extension 10 %, post-training 50 %, memory 25 %"
            : $"{AtPoint}; this pipeline lies outside of it ({string.Join(", ", others)}): an estimate of about ±30 %, a judgement "
                + "and not measured, as the "
                + "share of the roofline that kernels reach changes with each of these; post-training 50 %, memory 25 %";
    }

    /// <summary>
    /// In what the pipeline differs from the step that was measured. Later stages on fewer GPUs have an error of their own.
    /// </summary>
    private static IEnumerable<string> Elsewhere(PipelineSpec spec)
    {
        if (spec.Model != ModelShape.V3)
        {
            yield return "another model";
        }

        var timed = spec.Stages.Select(spec.ResourcesOf).Where(r => Gpu.All.ContainsKey(r.Gpu)).ToArray();
        if (timed.Select(r => r.Gpu).Where(g => g != "h800").Distinct().Order(StringComparer.Ordinal).ToArray() is { Length: > 0 } gpus)
        {
            yield return string.Join(" and ", gpus);
        }

        if (timed.Max(r => r.Ranks) is int ranks and not CalibratedGpus)
        {
            yield return $"{ranks} GPUs";
        }

        if (spec.Precision != Precision.Fp8)
        {
            yield return spec.Precision.ToString().ToLowerInvariant();
        }
    }
}
