using System.Net.Sockets;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>The connection to one other rank of one group.</summary>
internal sealed class PeerLink : IDisposable
{
    private readonly Socket _socket;

    public PeerLink(int rank, Socket connected)
    {
        (Rank, _socket) = (rank, connected);
        _socket.NoDelay = true;
        _socket.Blocking = false;
        Descriptor = (int)_socket.SafeHandle.DangerousGetHandle();
    }

    /// <summary>In the gang.</summary>
    public int Rank { get; }

    public int Descriptor { get; }

    /// <summary>As much as the other side takes now; 0: nothing.</summary>
    /// <exception cref="PeerLostException">The other side is gone.</exception>
    public int TrySend(ReadOnlySpan<byte> bytes)
    {
        int sent = _socket.Send(bytes, SocketFlags.None, out var error);
        return error switch
        {
            SocketError.Success => sent,
            SocketError.WouldBlock or SocketError.Interrupted => 0,
            _ => throw Lost(error),
        };
    }

    /// <summary>As much as has come; 0: nothing.</summary>
    /// <exception cref="PeerLostException">The other side is gone.</exception>
    public int TryReceive(Span<byte> into)
    {
        int received = _socket.Receive(into, SocketFlags.None, out var error);
        return error switch
        {
            SocketError.Success when received == 0 && into.Length > 0 => throw new PeerLostException(Rank, "closed its connection"),
            SocketError.Success => received,
            SocketError.WouldBlock or SocketError.Interrupted => 0,
            _ => throw Lost(error),
        };
    }

    /// <summary>From any thread: whoever waits for this connection wakes and fails.</summary>
    public void Wake()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }
    }

    public void Dispose() => _socket.Dispose();

    private PeerLostException Lost(SocketError error) => new(Rank, $"is gone ({error})", new SocketException((int)error));
}
