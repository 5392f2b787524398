using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>libtorch's random numbers, which each kind of device draws from a sequence of its own.</summary>
public static class RandomStreams
{
    /// <summary>
    /// Begins them all anew, the GPUs' too. TorchSharp's two manual_seed begin the processor's alone (0.107): answers that a GPU sampled
    /// would be others after each restart.
    /// </summary>
    public static void Begin(long seed)
    {
        manual_seed(seed);
        if (cuda.is_available())
        {
            cuda.manual_seed_all(seed);
        }
    }
}
