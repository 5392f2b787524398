using System.Diagnostics;
using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;

namespace DeepSeekOps.Worker.Parallel.Nccl;

/// <summary>
/// The GPUs of some ranks, connected. Whatever is asked of it goes to a queue of the GPU and is not waited for here; it can be ended from
/// another thread, which also lets a kernel leave that waits for a rank that is gone.
/// </summary>
/// <remarks>
/// Blocking, in NCCL's words: a call returns when it is queued. Non-blocking ones begin a thread for each call, which measured 74 µs
/// instead of 13 to 20 (2 H200, NCCL 2.28.9). To connect is the one call that can wait for ever: it has a thread that can be left.
/// </remarks>
internal sealed class NcclCommunicator
{
    private const int LookMilliseconds = 5;

    private readonly Lock _asking = new();
    private readonly Calls _calls;
    private nint _communicator;
    private bool _ended;

    private NcclCommunicator(Calls calls) => _calls = calls;

    /// <summary>All at once.</summary>
    /// <param name="limit">So long the others may take to come.</param>
    /// <param name="kept">Is told of each before it is waited for, so that an abort finds it.</param>
    /// <exception cref="NcclException">The GPUs cannot be connected; the message is NCCL's.</exception>
    /// <exception cref="CollectiveAbortedException">The calls were aborted meanwhile.</exception>
    public static void Connect(IReadOnlyList<NcclPlace> places, Calls calls, TimeSpan limit, Action<string, NcclCommunicator> kept)
    {
        NcclCommunicator[] connecting = [.. places.Select(_ => new NcclCommunicator(calls))];
        foreach (var (place, communicator) in places.Zip(connecting))
        {
            kept(place.Key, communicator);
        }
        Exception? failure = null;
        var gpu = ComputeDevice.OwnGpu;
        var thread = new Thread(() =>
        {
            try
            {
                CudaQueue.Enter(gpu);
                foreach (var (communicator, arrived) in connecting.Zip(NcclLibrary.Begin(places)))
                {
                    communicator.Arrived(arrived);
                }
            }
            catch (Exception e) when (e is NcclException or InvalidOperationException)
            {
                failure = e;
            }
        });
        (thread.IsBackground, thread.Name) = (true, "connects GPUs");
        thread.Start();
        var began = Stopwatch.GetTimestamp();
        while (!thread.Join(LookMilliseconds))
        {
            calls.ThrowIfAborted();
            if (Stopwatch.GetElapsedTime(began) > limit)
            {
                throw new NcclException($"the other ranks did not come to connect within {limit.TotalSeconds:0} s");
            }
        }
        calls.ThrowIfAborted();
        if (failure is not null)
        {
            throw failure;
        }
    }

    /// <summary>
    /// What this process's first communicator on its GPU takes long for (0.35 to 0.45 s of kernels, NCCL 2.28.9 on H200), by one of itself
    /// alone. On the thread's current GPU.
    /// </summary>
    public static void LoadKernels()
    {
        if (NcclLibrary.Version >= NcclLibrary.Oldest)
        {
            NcclLibrary.Abort(NcclLibrary.Begin([new NcclPlace("alone", NcclLibrary.NewId(), Own: 0, Ranks: 1)])[0]);
        }
    }

    /// <summary>One call, or those of one group.</summary>
    public void Ask(Action<nint> call)
    {
        lock (_asking)
        {
            _calls.ThrowIfAborted();
            ObjectDisposedException.ThrowIf(_ended, this);
            call(_communicator);
        }
    }

    /// <summary>Null: it is sound. From any thread.</summary>
    public string? Failure()
    {
        lock (_asking)
        {
            return !_ended && _communicator != 0
                && NcclLibrary.State(_communicator) is not (NcclLibrary.Success or NcclLibrary.InProgress) and var failed
                ? NcclLibrary.Words(failed, _communicator) : null;
        }
    }

    /// <summary>
    /// Aborts them, whatever they wait for: to destroy them in peace would be a call of all ranks, one of which may be gone. What was to
    /// be done has to be done before. All at once: the kernel that one waits for may stand behind another's (NVIDIA/nccl#1013).
    /// </summary>
    /// <returns>Null: all had ended. Else a thread that is done when their memory is given back; their kernels leave before.</returns>
    public static Thread? EndAll(IEnumerable<NcclCommunicator> communicators)
    {
        nint[] open = [.. communicators.Select(c => c.Ended()).Where(c => c != 0)];
        if (open.Length == 0)
        {
            return null;
        }
        var gpu = ComputeDevice.OwnGpu;
        // Not in the background: a process that ends meanwhile would end in the middle of the library's own work.
        var thread = new Thread(() =>
        {
            try
            {
                CudaQueue.Enter(gpu);
                NcclLibrary.GroupStart();
                Array.ForEach(open, NcclLibrary.Abort);
                NcclLibrary.GroupEnd();
            }
            catch (Exception e) when (e is NcclException or InvalidOperationException)
            {
                // What is given up may have failed before; the rank itself goes on.
                Console.Error.WriteLine($"Giving up the GPUs' connections: {e.Message}");
            }
        })
        { Name = "gives up GPUs' connections" };
        thread.Start();
        return thread;
    }

    /// <returns>What is to be aborted; 0: nothing, or not yet.</returns>
    private nint Ended()
    {
        lock (_asking)
        {
            var open = _ended ? 0 : _communicator;
            _ended = true;
            return open;
        }
    }

    private void Arrived(nint communicator)
    {
        lock (_asking)
        {
            _communicator = communicator;
            if (_ended)
            {
                NcclLibrary.Abort(communicator);
            }
        }
    }
}
