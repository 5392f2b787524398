namespace DeepSeekOps.Worker.Cuda;

/// <summary>A queue of the GPU beside the one that libtorch's operators go to.</summary>
/// <param name="device">Of CUDA's numbering.</param>
internal sealed class QueueBeside(int device) : IDisposable
{
    private readonly nint _queue = CudaQueue.New(first: true);

    /// <summary>
    /// What <paramref name="work"/> asks of the GPU, libtorch's operators included, goes to this queue, behind what the other has been
    /// asked so far. Memory that it reads must stay until then.
    /// </summary>
    /// <returns>To be called once: what the other queue is asked from then on begins only after this work.</returns>
    public Action Run(Action work)
    {
        WaitFor(CudaQueue.Mark(CudaQueue.Current(device)), _queue);
        using var entered = CudaQueue.Use(_queue, device);
        work();
        var done = CudaQueue.Mark(_queue);
        return () => WaitFor(done, CudaQueue.Current(device));
    }

    public void Dispose() => CudaQueue.Destroy(_queue);

    private static void WaitFor(nint mark, nint then)
    {
        CudaQueue.Wait(then, mark);
        CudaQueue.Forget(mark);
    }
}
