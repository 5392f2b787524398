using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Throughput;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>
/// Bytes of a checkpoint, as the worker writes it: weights in float32 with those of the MTP modules, AdamW's two moments of each, and
/// their moving average where a stage keeps one.
/// </summary>
public static class CheckpointSize
{
    private const int WeightBytes = 4;
    private const int MomentBytes = 4;
    private const int Bf16MomentBytes = 2;

    public static long Of(PipelineSpec spec, StageSpec stage)
    {
        int moment = spec.Optimizer.Bf16Moments ? Bf16MomentBytes : MomentBytes;
        return ParameterCount.Of(spec.ShapeAfter(stage)).TotalWithMtp
            * (WeightBytes + (2 * moment) + (stage.Recipe.KeepsAverage() ? WeightBytes : 0));
    }
}
