using System.Diagnostics;
using System.Runtime.InteropServices;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Parallel.Nccl;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// What a process that uses a GPU for the first time is waited for by its whole gang: the context, 0.16 s, and NCCL's kernels, 0.35 to
/// 0.45 s of the 0.5 s that it takes to connect (H200, NCCL 2.28.9). A standby does it while its gang still breaks off. No step is
/// rehearsed there: that took two seconds more, and the gang takes less until it is formed.
/// </summary>
internal static class GpuReadiness
{
    public static void Make(RankPrepare order)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            var device = RankContext.Entered(ComputeDevice.Choose(order.Device, order.LocalRank));
            if (device.type == DeviceType.CUDA)
            {
                using var first = zeros(1, device: device);
                NcclCommunicator.LoadKernels();
                cuda.synchronize();
                Console.WriteLine($"GPU {device.index} is ready after {Stopwatch.GetElapsedTime(began).TotalSeconds:F2} s");
            }
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or NcclException or ExternalException)
        {
            // The launch meets it too, where it is told and counted.
            Console.Error.WriteLine($"The GPU of local rank {order.LocalRank} could not be made ready: {e.Message}");
        }
    }
}
