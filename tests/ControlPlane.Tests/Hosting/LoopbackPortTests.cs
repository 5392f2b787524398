using System.Net;
using System.Net.Sockets;
using DeepSeekOps.ControlPlane.Hosting;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Hosting;

public sealed class LoopbackPortTests
{
    /// <summary>Seen once: another program was dealt the port between its choice and the moment when the control plane listened.</summary>
    [Fact]
    public void A_chosen_port_is_none_that_outgoing_connections_are_dealt() =>
        Assert.All(Enumerable.Range(0, 50).Select(_ => LoopbackPort.Free()), port => Assert.InRange(port, 20_000, 32_767));

    /// <summary>Seen once: a control plane's port for agents was the one that it had chosen for its pages.</summary>
    [Fact]
    public void A_reserved_port_is_nobody_elses_until_the_server_listens_there()
    {
        int[] ports = [.. Enumerable.Range(0, 50).Select(_ => LoopbackPort.Reserve())];
        Assert.Equal(ports.Length, ports.Distinct().Count());
        Assert.All(ports, port => Assert.False(LoopbackPort.IsFree(port)));
        foreach (int port in ports)
        {
            using var listener = LoopbackPort.Listener(new IPEndPoint(IPAddress.Loopback, port));
            listener.Listen(8);
            using var client = new TcpClient();
            client.Connect(IPAddress.Loopback, port);
            using var accepted = listener.Accept();
        }
        Assert.All(ports, port => Assert.True(LoopbackPort.IsFree(port)));
    }
}
