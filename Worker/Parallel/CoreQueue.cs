using System.Text;
using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// How long the kernel has let this thread wait for a core, by its own account: on a machine that others use too that is most of what
/// moves, and it says nothing of the rank.
/// </summary>
internal sealed class CoreQueue : IDisposable
{
    private readonly SafeFileHandle? _account;
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private long _last;

    /// <summary>Of the thread that calls it.</summary>
    public CoreQueue()
    {
        try
        {
            _account = File.OpenHandle("/proc/thread-self/schedstat");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A kernel without this account: then nothing is known to have been waited for.
        }
    }

    /// <summary>Nanoseconds so far. A thread that it is not of is told what was read last.</summary>
    public long Nanoseconds => _account is null || Environment.CurrentManagedThreadId != _thread ? _last : _last = Read();

    public void Dispose() => _account?.Dispose();

    private long Read()
    {
        Span<byte> text = stackalloc byte[64];
        int length = RandomAccess.Read(_account!, text, 0);
        // "ran waited slices", the first two in nanoseconds.
        var rest = text[..length];
        rest = rest[(rest.IndexOf((byte)' ') + 1)..];
        return long.TryParse(Encoding.ASCII.GetString(rest[..Math.Max(0, rest.IndexOf((byte)' '))]), out long waited) ? waited : _last;
    }
}
