using TorchSharp;

namespace DeepSeekOps.Worker.Tests;

/// <summary>
/// Libtorch draws from one generator per process: tests that draw, or that compare what training drew, run one after another.
/// </summary>
internal static class RandomNumbers
{
    public const string OneStream = "one stream of random numbers";
}

/// <summary>Each test begins the stream anew: it draws the same numbers whatever ran before it.</summary>
public abstract class DrawingTests
{
    protected DrawingTests() => torch.manual_seed(1);
}
