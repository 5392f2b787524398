using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// Room for one state in memory that the agent holds, so that it outlives the process that writes it. Whoever is killed in the middle of
/// writing leaves a state that is not whole, and that is seen.
/// </summary>
internal sealed unsafe class MemorySlot : IDisposable
{
    public const int TagBytes = 32;

    /// <summary>A page; the state begins after it.</summary>
    private const int HeaderBytes = 4096;

    /// <summary>"dsopsmem" and the number of this form.</summary>
    private const ulong Magic = 0x64736f70736d0001;

    /// <summary>Where tensors begin: of any element's size a multiple.</summary>
    private const int Alignment = 64;

    private readonly FileStream _file;
    private MemoryMappedFile? _map;
    private MemoryMappedViewAccessor? _view;
    private byte* _at;
    private long _capacity;

    /// <exception cref="IOException">It is not there, or no file that can be mapped.</exception>
    public MemorySlot(string path)
    {
        _file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        try
        {
            Reserve(Math.Max(HeaderBytes, _file.Length));
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <summary>The step whose state lies here whole; null: none.</summary>
    public long? Step => Head is { Magic: Magic, Whole: 1 } head && Fits(head) ? head.Step : null;

    public ReadOnlySpan<byte> Tag => new(((Header*)_at)->Tag, TagBytes);

    public ReadOnlySpan<byte> Meta => new(_at + HeaderBytes, checked((int)Head.MetaBytes));

    public nint Tensors => (nint)(_at + TensorsAt(Head.MetaBytes));

    public long TensorBytes => Head.TensorBytes;

    private ref Header Head => ref *(Header*)_at;

    /// <param name="fill">Is given the place to write so many bytes of tensors to.</param>
    public void Write(long step, ReadOnlySpan<byte> tag, ReadOnlySpan<byte> meta, long tensorBytes, Action<nint> fill)
    {
        Forget();
        Reserve(TensorsAt(meta.Length) + tensorBytes);
        meta.CopyTo(new Span<byte>(_at + HeaderBytes, meta.Length));
        tag[..TagBytes].CopyTo(new Span<byte>(((Header*)_at)->Tag, TagBytes));
        (Head.Magic, Head.Step, Head.MetaBytes, Head.TensorBytes) = (Magic, step, meta.Length, tensorBytes);
        fill(Tensors);
        Thread.MemoryBarrier();
        Volatile.Write(ref Head.Whole, 1);
    }

    public void Forget()
    {
        Volatile.Write(ref Head.Whole, 0);
        Thread.MemoryBarrier();
    }

    public void Dispose()
    {
        Unmap();
        _file.Dispose();
    }

    private static long TensorsAt(long metaBytes) => HeaderBytes + ((metaBytes + Alignment - 1) / Alignment * Alignment);

    private bool Fits(Header head) => head.MetaBytes is >= 0 and <= int.MaxValue && head.TensorBytes >= 0
        && head.TensorBytes <= _capacity - TensorsAt(head.MetaBytes);

    /// <summary>Some more than is asked for, so that what grows a little is not mapped anew each time.</summary>
    private void Reserve(long bytes)
    {
        if (bytes <= _capacity)
        {
            return;
        }
        Unmap();
        _capacity = Math.Max(_file.Length, bytes + (bytes / 16) + HeaderBytes);
        _map = MemoryMappedFile.CreateFromFile(
            _file, null, _capacity, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        _view = _map.CreateViewAccessor();
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _at);
    }

    private void Unmap()
    {
        if (_view is not null)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
        }
        _map?.Dispose();
        (_view, _map, _capacity) = (null, null, 0);
        _at = null;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Header
    {
        public ulong Magic;
        public int Whole;
        public int Reserved;
        public long Step;
        public long MetaBytes;
        public long TensorBytes;
        public fixed byte Tag[TagBytes];
    }
}
