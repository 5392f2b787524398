using DeepSeekOps.ControlPlane.Hosting;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Hosting;

public sealed class LoopbackPortTests
{
    /// <summary>Seen once: another program was dealt the port between its choice and the moment when the control plane listened.</summary>
    [Fact]
    public void A_chosen_port_is_none_that_outgoing_connections_are_dealt() =>
        Assert.All(Enumerable.Range(0, 50).Select(_ => LoopbackPort.Free()), port => Assert.InRange(port, 20_000, 32_767));
}
