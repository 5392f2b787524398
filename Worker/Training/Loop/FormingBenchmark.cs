using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Parallel.Nccl;
using DeepSeekOps.Worker.Parallel.Sockets;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>One rank's part in forming a gang, timed; then it adds up numbers with the others until one of them is lost.</summary>
public static class FormingBenchmark
{
    private const int Numbers = 1 << 20;

    /// <param name="device">"cpu" or "cuda".</param>
    /// <param name="sockets">Opens this rank's groups over sockets.</param>
    /// <param name="formed">Is told once, after the first sum.</param>
    /// <exception cref="PeerLostException">Another rank is gone.</exception>
    /// <exception cref="CollectiveAbortedException">An order ended it.</exception>
    /// <exception cref="InvalidDataException">The first sum is wrong.</exception>
    public static void Run(
        GangLayout layout, int rank, string device, Func<SocketMesh> sockets, Action<FormingTimes> formed, IRankLink link)
    {
        var began = Stopwatch.GetTimestamp();
        var own = RankContext.Entered(ComputeDevice.Choose(device, rank));
        using var numbers = ones(Numbers, device: own);
        Finish(own);
        var times = new FormingTimes { DeviceSeconds = Lap(ref began) };
        var mesh = sockets();
        Barrier(mesh);
        times.SocketsSeconds = Lap(ref began);
        using var gang = new GangMesh(mesh, layout, rank, own);
        (times.GpusSeconds, times.Carrier) = (Lap(ref began), gang.Carrier);
        gang.Mesh.World.AllReduce([numbers]);
        Finish(own);
        times.FirstCallSeconds = Lap(ref began);
        // Of ones: each number is the count of ranks.
        if (!numbers.eq(layout.Ranks).all().ToBoolean())
        {
            throw new InvalidDataException($"The first sum of ones over {layout.Ranks} ranks is not {layout.Ranks}.");
        }

        formed(times);
        using var ending = link.Stopping.Register(() => gang.Mesh.Calls.Abort("the rank is to end"));
        using var leaving = link.Regrouping.Register(() => gang.Mesh.Calls.Abort("the rank is to leave its gang"));
        while (true)
        {
            numbers.zero_();
            gang.Mesh.World.AllReduce([numbers]);
            Finish(own);
        }
    }

    internal static void Barrier(SocketMesh mesh)
    {
        try
        {
            mesh.Mesh.World.Barrier();
        }
        catch
        {
            mesh.Dispose();
            throw;
        }
    }

    /// <summary>What was queued on a GPU is done only then.</summary>
    private static void Finish(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            cuda.synchronize();
        }
    }

    internal static double Lap(ref long began)
    {
        var now = Stopwatch.GetTimestamp();
        var seconds = Stopwatch.GetElapsedTime(began, now).TotalSeconds;
        began = now;
        return seconds;
    }
}
