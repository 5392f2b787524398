using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Safetensors;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// Copies out of a GPU beside what it computes: on a queue of its own, and into memory that is pinned once, since the GPU writes into no
/// other by itself.
/// </summary>
/// <param name="gpu">By CUDA's numbering.</param>
internal sealed class GpuCopies(int gpu) : IDisposable
{
    /// <summary>Memory is pinned by pages; smaller tensors may share theirs, and take no time.</summary>
    private const long LeastToPin = 1 << 20;

    private readonly Dictionary<nint, bool> _pinned = [];
    private nint _queue;

    /// <summary>To be asked for on the thread that computes: what is copied is what stands there behind all that it has queued.</summary>
    public nint Mark() => CudaQueue.Mark(CudaQueue.Current(gpu));

    /// <summary>On any other thread. Returns when all is copied.</summary>
    /// <param name="look">Is done before, on the GPU.</param>
    public void Copy(nint mark, IReadOnlyList<(Tensor From, Tensor Into)> tensors, Action look)
    {
        CudaQueue.Enter(gpu);
        _queue = _queue != 0 ? _queue : CudaQueue.New();
        CudaQueue.Wait(_queue, mark);
        CudaQueue.Forget(mark);
        // Whether a call that was asked for before was broken off is known only once the GPU has come so far.
        CudaQueue.Finish(_queue);
        using var beside = CudaQueue.Use(_queue, gpu);
        look();
        using var scope = NewDisposeScope();
        foreach (var (from, into) in tensors)
        {
            var plain = from.contiguous();
            var (address, bytes) = (TensorMemory.Address(into), into.numel() * into.element_size());
            if (bytes >= LeastToPin && !_pinned.ContainsKey(address))
            {
                _pinned.Add(address, CudaQueue.Pin(address, bytes));
            }
            CudaQueue.CopyToHost(address, DispatcherCall.Address(plain), bytes, _queue);
        }
        CudaQueue.Finish(_queue);
    }

    /// <summary>Before the memory is given back.</summary>
    public void Dispose()
    {
        if (_queue == 0)
        {
            return;
        }
        CudaQueue.Enter(gpu);
        foreach (var (address, _) in _pinned.Where(p => p.Value))
        {
            CudaQueue.Unpin(address);
        }
        CudaQueue.Destroy(_queue);
    }
}
