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
/// What a process that uses a GPU for the first time is waited for by its whole gang: its context and NCCL's kernels, 1.4 s in all (H200,
/// NCCL 2.28.9). A standby does it before anybody is lost. No step is rehearsed: that took two seconds more of a GPU that trains.
/// </summary>
internal static class GpuReadiness
{
    public static RankPrepared Make(RankPrepare order)
    {
        var began = Stopwatch.GetTimestamp();
        var prepared = new RankPrepared { LocalRank = order.LocalRank };
        try
        {
            var device = RankContext.Entered(ComputeDevice.Choose(order.Device, order.LocalRank));
            if (device.type == DeviceType.CUDA)
            {
                using var first = zeros(1, device: device);
                NcclCommunicator.LoadKernels();
                cuda.synchronize();
            }
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or NcclException or ExternalException)
        {
            // The launch meets it too, where it is told and counted.
            prepared.Problem = e.Message;
        }

        prepared.Seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        return prepared;
    }
}
