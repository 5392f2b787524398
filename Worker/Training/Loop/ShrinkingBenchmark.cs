using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Parallel.Nccl;
using DeepSeekOps.Worker.Parallel.Sockets;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// As <see cref="FormingBenchmark"/>, with one communicator over all GPUs, which those that are left of a loss shrink instead of making
/// another one.
/// </summary>
public static class ShrinkingBenchmark
{
    private const int Numbers = 1 << 20;

    // Outlives the loss, and with it the launch.
    private static nint _kept;

    /// <param name="sockets">Opens this rank's groups over sockets.</param>
    /// <param name="formed">Is told once, after the first sum.</param>
    /// <exception cref="PeerLostException">Another rank is gone.</exception>
    /// <exception cref="CollectiveAbortedException">An order ended it.</exception>
    /// <exception cref="InvalidDataException">The first sum is wrong, or this NCCL cannot shrink.</exception>
    public static void Run(FormingWork work, int rank, Func<SocketMesh> sockets, Action<FormingTimes> formed, IRankLink link)
    {
        if (NcclLibrary.Version < NcclLibrary.OldestThatShrinks)
        {
            throw new InvalidDataException(NcclLibrary.Version == 0 ? "There is no NCCL here, and only that shrinks a communicator."
                : $"NCCL here is {NcclChoice.Words(NcclLibrary.Version)}; 2.27.3 is the oldest that shrinks a communicator.");
        }

        var began = Stopwatch.GetTimestamp();
        var own = RankContext.Entered(ComputeDevice.Choose(work.Device, rank));
        // Beside libtorch's queue, in which what the lost rank was waited for with still stands.
        var queue = CudaQueue.New();
        using var on = CudaQueue.Use(queue, own.index);
        using var numbers = ones(Numbers, device: own);
        CudaQueue.Finish(queue);
        var times = new FormingTimes { DeviceSeconds = FormingBenchmark.Lap(ref began) };
        using var mesh = sockets();
        mesh.Mesh.World.Barrier();
        times.SocketsSeconds = FormingBenchmark.Lap(ref began);
        var before = _kept;
        if (work.Lost.Count == 0 && before != 0)
        {
            // Its last call waits for who has left, and to connect would wait for that.
            NcclLibrary.Abort(before);
            before = 0;
            FormingBenchmark.Lap(ref began);
        }

        _kept = work.Lost.Count > 0 ? NcclLibrary.Shrink(before, [.. work.Lost]) : Connect(mesh.Mesh.World);
        // Whoever is alone has nobody to look after.
        using var watch = new NcclWatch(work.WorldSize > 1 ? mesh.Beside(rank) : [], [], mesh.Mesh.Calls);
        times.GpusSeconds = FormingBenchmark.Lap(ref began);
        Sum(numbers, queue);
        CudaQueue.Finish(queue);
        (times.FirstCallSeconds, times.Carrier) =
            (FormingBenchmark.Lap(ref began), $"NCCL {NcclChoice.Words(NcclLibrary.Version)}, {(work.Lost.Count > 0 ? "shrunk" : "anew")}");
        GiveUp(before);
        if (!numbers.eq(work.WorldSize).all().ToBoolean())
        {
            throw new InvalidDataException($"The first sum of ones over {work.WorldSize} ranks is not {work.WorldSize}.");
        }

        formed(times);
        Loop(mesh.Mesh.Calls, numbers, queue, link);
    }

    /// <summary>Until a rank is lost. What was queued then stays there until the communicator is shrunk or given up.</summary>
    private static void Loop(Calls calls, Tensor numbers, nint queue, IRankLink link)
    {
        using var ending = link.Stopping.Register(() => calls.Abort("the rank is to end"));
        using var leaving = link.Regrouping.Register(() => calls.Abort("the rank is to leave its gang"));
        while (true)
        {
            numbers.zero_();
            Sum(numbers, queue);
            var mark = CudaQueue.Mark(queue);
            while (!CudaQueue.Passed(mark))
            {
                calls.ThrowIfAborted();
                Thread.Yield();
            }
            CudaQueue.Forget(mark);
            calls.ThrowIfAborted();
        }
    }

    private static nint Connect(IProcessGroup world)
    {
        using var id = world.Own == 0 ? GangMesh.NewId() : zeros(NcclId.Bytes, uint8);
        world.Broadcast(id, 0);
        return NcclLibrary.Begin([new NcclPlace("world", GangMesh.Id(id), world.Own, world.Ranks)])[0];
    }

    private static void Sum(Tensor numbers, nint queue) =>
        NcclLibrary.AllReduce(DispatcherCall.Address(numbers), Numbers, ScalarType.Float32, _kept, queue);

    /// <summary>Its memory comes back beside the work.</summary>
    private static void GiveUp(nint communicator)
    {
        if (communicator != 0)
        {
            var gpu = ComputeDevice.OwnGpu;
            new Thread(() =>
            {
                CudaQueue.Enter(gpu);
                NcclLibrary.Abort(communicator);
            })
            { IsBackground = true, Name = "gives up GPUs' connections" }.Start();
        }
    }
}
