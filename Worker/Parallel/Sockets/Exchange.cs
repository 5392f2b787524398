using System.Diagnostics;
using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>
/// Moves bytes over several connections at once, both ways, on the calling thread: whoever sends also takes in what comes, so that two
/// ranks that send to each other never wait for each other's memory.
/// </summary>
internal sealed unsafe class Exchange(Calls calls, TimeSpan limit)
{
    /// <summary>A shut-down connection wakes the poll; this bounds how late an abort is seen where there is none.</summary>
    private const int LookMilliseconds = 200;

    private readonly List<Transfer> _open = [];
    private readonly List<Transfer> _all = [];
    private PollDescriptor[] _polled = [];
    private int _used;

    /// <summary>Call between two runs of <see cref="Run"/>; the memory is the caller's until it has run.</summary>
    public void Send(PeerLink link, nint from, long bytes) => Add(link, from, bytes, sends: true, null);

    /// <param name="arrived">Is told how many bytes are there, each time more are.</param>
    public void Receive(PeerLink link, nint into, long bytes, Action<long>? arrived = null) =>
        Add(link, into, bytes, sends: false, arrived);

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

    private void Add(PeerLink link, nint at, long bytes, bool sends, Action<long>? arrived)
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
        (transfer.Link, transfer.At, transfer.Bytes, transfer.Done, transfer.Sends, transfer.Arrived) = (link, at, bytes, 0L, sends,
            arrived);
        _open.Add(transfer);
    }

    /// <summary>True: something moved, or is finished.</summary>
    private bool Move()
    {
        var any = false;
        for (var i = _open.Count - 1; i >= 0; i--)
        {
            var transfer = _open[i];
            // Pieces of this size stay in the cache between arriving and being added up.
            int piece = (int)Math.Min(transfer.Bytes - transfer.Done, 256 * 1024);
            int n = transfer.Sends ? transfer.Link.TrySend(new ReadOnlySpan<byte>((byte*)transfer.At + transfer.Done, piece))
                : transfer.Link.TryReceive(new Span<byte>((byte*)transfer.At + transfer.Done, piece));
            if (n == 0)
            {
                continue;
            }
            any = true;
            transfer.Done += n;
            transfer.Arrived?.Invoke(transfer.Done);
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

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public const short In = 1;
        public const short Out = 4;

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
        public Action<long>? Arrived;
    }
}
