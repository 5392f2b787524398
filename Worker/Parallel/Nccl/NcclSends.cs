using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel.Nccl;

/// <summary>What goes to one other rank: on a queue of its own, so that whoever sends goes on computing.</summary>
internal sealed class NcclSends(NcclCommunicator pair) : IDisposable
{
    private readonly nint _queue = CudaQueue.New();
    private readonly Queue<(nint Mark, Tensor Copy)> _going = [];

    public void Send(Tensor tensor)
    {
        Forget(all: false);
        using var untracked = no_grad();
        var copy = tensor.detach().contiguous();
        copy = (ReferenceEquals(copy, tensor) || DispatcherCall.Address(copy) == DispatcherCall.Address(tensor) ? copy.clone() : copy)
            .DetachFromDisposeScope();
        var made = CudaQueue.Mark(CudaQueue.Current(tensor.device.index));
        CudaQueue.Wait(_queue, made);
        CudaQueue.Forget(made);
        pair.Ask(c => NcclLibrary.Send(DispatcherCall.Address(copy), copy.numel() * copy.element_size(), 1, c, _queue));
        _going.Enqueue((CudaQueue.Mark(_queue), copy));
    }

    public void Dispose()
    {
        Forget(all: true);
        CudaQueue.Destroy(_queue);
    }

    /// <summary>Gives back the memory of what has gone: until then the GPU reads it.</summary>
    private void Forget(bool all)
    {
        while (_going.TryPeek(out var first) && (all || CudaQueue.Passed(first.Mark)))
        {
            CudaQueue.Forget(first.Mark);
            first.Copy.Dispose();
            _going.Dequeue();
        }
    }
}
