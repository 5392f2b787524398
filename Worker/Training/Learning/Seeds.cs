using DeepSeekOps.Worker.Data;

namespace DeepSeekOps.Worker.Training.Learning;

public static class Seeds
{
    /// <summary>A seed for libtorch's generator, set before each step, so that a step's randomness hangs on no step before it.</summary>
    public static long Of(long seed, string stream, long step) => (long)(new SeededRandom(seed, stream, step).NextUInt64() >> 1);
}
