using System.Diagnostics;
using System.Runtime.InteropServices;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>
/// Moves bytes over several connections at once, both ways, on the calling thread: whoever sends also takes in what comes, so that two
/// ranks that send to each other never wait for each other's memory.
/// </summary>
internal sealed unsafe class Exchange(Calls calls, TimeSpan limit)
{
    /// <summary>A shut-down connection wakes the poll; this bounds how late an abort is seen where there is none.</summary>
    private const int LookMilliseconds = 200;

    /// <summary>Half of a small second-level cache, and a multiple of any element's size.</summary>
    public const int WindowBytes = 256 * 1024;

    private readonly List<Transfer> _open = [];
    private readonly List<Transfer> _all = [];
    private PollDescriptor[] _polled = [];
    private int _used;

    /// <summary>Call between two runs of <see cref="Run"/>; the memory is the caller's until it has run.</summary>
    public void Send(PeerLink link, nint from, long bytes) => Add(link, from, bytes, sends: true, null);

    public void Receive(PeerLink link, nint into, long bytes) => Add(link, into, bytes, sends: false, null);

    /// <summary>Bytes that are used up as they come, through a window of memory that stays in the cache.</summary>
    /// <param name="window">Of <see cref="WindowBytes"/>.</param>
    /// <param name="used">Is told where in all of them the window's bytes stand, and how many they are; all but the last time it is
    /// full.</param>
    public void Receive(PeerLink link, nint window, long bytes, Action<long, int> used) => Add(link, window, bytes, sends: false, used);

    /// <exception cref="PeerLostException">A rank is gone, or nothing moved for the limit.</exception>
    /// <exception cref="CollectiveAbortedException">The calls were aborted.</exception>
    public void Run()
    {
        try
        {
            var moved = Stopwatch.GetTimestamp();
            while (_open.Count > 0)
            {
                calls.ThrowIfAborted();
                if (Move())
                {
                    moved = Stopwatch.GetTimestamp();
                    continue;
                }
                if (Stopwatch.GetElapsedTime(moved) > limit)
                {
                    throw new PeerLostException(
                        _open[0].Link.Rank, $"neither sent nor took anything for {limit.TotalSeconds:0} s in call {calls.Made}");
                }
                Wait();
            }
        }
        catch (PeerLostException) when (calls.Aborted is not null)
        {
            // The abort itself closed the connection.
            calls.ThrowIfAborted();
        }
        finally
        {
            _open.Clear();
            _used = 0;
        }
    }

    private void Add(PeerLink link, nint at, long bytes, bool sends, Action<long, int>? used)
    {
        if (bytes == 0)
        {
            return;
        }
        if (_used == _all.Count)
        {
            _all.Add(new Transfer());
        }
        var transfer = _all[_used++];
        (transfer.Link, transfer.At, transfer.Bytes, transfer.Done, transfer.Sends, transfer.Used) = (link, at, bytes, 0L, sends,
            used);
        _open.Add(transfer);
    }

    /// <summary>True: something moved, or is finished.</summary>
    private bool Move()
    {
        var any = false;
        for (var i = _open.Count - 1; i >= 0; i--)
        {
            var transfer = _open[i];
            int within = transfer.Used is null ? 0 : (int)(transfer.Done % WindowBytes);
            int piece = (int)Math.Min(transfer.Bytes - transfer.Done, WindowBytes - within);
            byte* at = (byte*)transfer.At + (transfer.Used is null ? transfer.Done : within);
            int n = transfer.Sends ? transfer.Link.TrySend(new ReadOnlySpan<byte>(at, piece))
                : transfer.Link.TryReceive(new Span<byte>(at, piece));
            if (n == 0)
            {
                continue;
            }
            any = true;
            transfer.Done += n;
            if (transfer.Used is { } used && (n == piece || transfer.Done == transfer.Bytes))
            {
                used(transfer.Done - within - n, within + n);
            }
            if (transfer.Done == transfer.Bytes)
            {
                _open.RemoveAt(i);
            }
        }
        return any;
    }

    private void Wait()
    {
        if (_polled.Length < _open.Count)
        {
            _polled = new PollDescriptor[_open.Count];
        }
        for (var i = 0; i < _open.Count; i++)
        {
            _polled[i] = new PollDescriptor
            {
                Descriptor = _open[i].Link.Descriptor,
                Wanted = (short)(_open[i].Sends ? PollDescriptor.Out : PollDescriptor.In),
            };
        }
        fixed (PollDescriptor* first = _polled)
        {
            // An interrupted wait is a wait that found nothing.
            _ = poll(first, (nuint)_open.Count, LookMilliseconds);
        }
    }

    /// <summary>Waits for one of them to be closed by the other side; null: none was for so long.</summary>
    public static PeerLink? HungUp(IReadOnlyList<PeerLink> links, int milliseconds)
    {
        Span<PollDescriptor> polled = stackalloc PollDescriptor[links.Count];
        for (var i = 0; i < links.Count; i++)
        {
            polled[i] = new PollDescriptor { Descriptor = links[i].Descriptor, Wanted = PollDescriptor.HangUp };
        }
        fixed (PollDescriptor* first = polled)
        {
            if (poll(first, (nuint)links.Count, milliseconds) <= 0)
            {
                return null;
            }
        }
        for (var i = 0; i < links.Count; i++)
        {
            if (polled[i].Happened != 0)
            {
                return links[i];
            }
        }
        return null;
    }

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public const short In = 1;
        public const short Out = 4;

        /// <summary>POLLRDHUP: the other side sends no more.</summary>
        public const short HangUp = 0x2000;

        public int Descriptor;
        public short Wanted;
        public short Happened;
    }

    private sealed class Transfer
    {
        public PeerLink Link = null!;
        public nint At;
        public long Bytes;
        public long Done;
        public bool Sends;
        public Action<long, int>? Used;
    }
}
