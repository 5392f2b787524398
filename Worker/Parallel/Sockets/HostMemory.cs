using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>Memory that is used again and grows with what is asked for.</summary>
internal sealed unsafe class HostMemory : IDisposable
{
    private void* _at;
    private long _bytes;

    public nint Of(long bytes)
    {
        if (bytes > _bytes)
        {
            _at = NativeMemory.Realloc(_at, checked((nuint)bytes));
            _bytes = bytes;
        }
        return (nint)_at;
    }

    public void Dispose()
    {
        NativeMemory.Free(_at);
        _at = null;
        _bytes = 0;
    }
}
