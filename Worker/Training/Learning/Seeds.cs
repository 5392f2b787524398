using System.Globalization;
using DeepSeekOps.Worker.Data;

namespace DeepSeekOps.Worker.Training.Learning;

public static class Seeds
{
    /// <summary>
    /// A seed for libtorch's generator, set before each step, so that a step's randomness hangs on no step before it. Ranks that take other
    /// rows draw other numbers; those that share the same rows draw the same.
    /// </summary>
    /// <param name="data">The rank's place among those that take other rows. The first one's numbers are those of a rank alone.</param>
    public static long Of(long seed, string stream, long step, int data = 0) =>
        (long)(new SeededRandom(seed, data == 0 ? stream : $"{stream}/data-{data.ToString(CultureInfo.InvariantCulture)}",
            step).NextUInt64() >> 1);
}
