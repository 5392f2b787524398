using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

/// <summary>The memory of one rank, held by the test as by an agent.</summary>
internal sealed class KeptInTests : IDisposable
{
    private readonly KeptMemory _held = new();

    public string[] Paths => _held.Of(0);

    public void Dispose() => _held.Dispose();
}
