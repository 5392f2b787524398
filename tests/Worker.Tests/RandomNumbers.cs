namespace DeepSeekOps.Worker.Tests;

/// <summary>Libtorch draws from one generator per process: tests that draw, or that compare what training drew, run one after another.</summary>
internal static class RandomNumbers
{
    public const string OneStream = "one stream of random numbers";
}
