using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using DeepSeekOps.ControlPlane.Client;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>Ports on the loopback address.</summary>
internal static class LoopbackPort
{
    /// <summary>
    /// Below 32768, from where on Linux deals ports to outgoing connections and to whoever binds to port 0: between the choice and the
    /// moment when the control plane listens, any of those may take it. Above 20000 no browser refuses a port.
    /// </summary>
    private const int First = 20_000, Last = 32_767;

    private const int Tries = 100;

    private static readonly ConcurrentDictionary<int, Socket> Reserved = new();

    /// <summary>
    /// A free port that nobody else gets before this process listens there: its socket is open already, and <see cref="Listener"/> hands
    /// it to the server. Two control planes that start in the same second, or two ports of one, would else now and then choose the same.
    /// </summary>
    public static int Reserve() =>
        Enumerable.Range(0, Tries).Select(_ => Listen(Random())).FirstOrDefault(port => port > 0) is > 0 and var port ? port : Listen(0);

    /// <summary>Where the server listens at an address: on the socket that was reserved for it, or on one of its own.</summary>
    public static Socket Listener(EndPoint address) =>
        address is IPEndPoint ip && IPAddress.IsLoopback(ip.Address) && Reserved.TryRemove(ip.Port, out var socket)
            ? socket : SocketTransportOptions.CreateDefaultBoundListenSocket(address);

    /// <summary>0: somebody has it. It listens from the start, for a port that is only bound can be bound a second time.</summary>
    private static int Listen(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            socket.Listen();
            port = PortOf(socket);
            Reserved[port] = socket;
            return port;
        }
        catch (SocketException)
        {
            socket.Dispose();
            return 0;
        }
    }

    private static int Random() => RandomNumberGenerator.GetInt32(First, Last + 1);

    private static int PortOf(Socket socket) =>
        ((IPEndPoint)(socket.LocalEndPoint ?? throw new InvalidOperationException("a bound socket has an address"))).Port;

    /// <summary>For another program: a port that was free a moment ago, and that nobody is dealt by chance.</summary>
    public static int Free() =>
        Enumerable.Range(0, Tries).Select(_ => Random()).FirstOrDefault(IsFree) is > 0 and var port
            ? port : AnyFree();

    private static int AnyFree()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return PortOf(socket);
    }

    public static bool IsFree(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // As Kestrel binds: a port in TIME_WAIT after a restart is free.
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>The wanted port, which must be free; without a wish the usual one, or any.</summary>
    public static int Choose(int? wanted, int? usual, string option) => wanted switch
    {
        { } port when port > 0 => IsFree(port) ? port : throw InUse(port, option),
        null when usual is { } port && IsFree(port) => port,
        _ => Reserve(),
    };

    public static RefusalException InUse(int port, string option, Exception? cause = null) => new(
        $"Port {port} is in use.", $"Stop what uses it, or choose another: {option} N ({option} 0 takes a free one).", ExitCode.InUse,
        cause);
}
