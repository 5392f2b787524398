using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Who a rank is: its number in the gang and on its node, its place in the layout, and what of the machine is its own.</summary>
public sealed record RankContext(int Rank, GangLayout Layout, Device Device, int Threads)
{
    public Coordinates Place => Layout.Of(Rank);

    /// <param name="cores">Of the node.</param>
    /// <exception cref="InvalidDataException">The launch does not say who this rank is, or its device is not there.</exception>
    public static RankContext Of(RankLaunch launch, int cores)
    {
        var (assignment, plan) = (launch.Assignment, launch.Assignment.Plan);
        var ranks = Math.Max(1, assignment.WorldSize);
        if (launch.Rank < 0 || launch.Rank >= ranks)
        {
            throw new InvalidDataException($"The launch is for rank {launch.Rank} of a gang of {ranks}: ranks count from 0.");
        }
        // Whoever is alone need not be placed.
        var placed = assignment.Ranks.FirstOrDefault(r => r.Rank == launch.Rank) ?? new RankPlacement { Rank = launch.Rank };
        var neighbours = Math.Max(1, assignment.Ranks.Count(r => r.Node == placed.Node));
        return new RankContext(
            launch.Rank, GangLayout.Of(plan.Layout, ranks), Entered(ComputeDevice.Choose(plan.Device, placed.LocalRank)),
            plan.Threads > 0 ? plan.Threads : Math.Max(1, cores / neighbours));
    }

    /// <summary>What this thread computes from now on it computes there.</summary>
    public static Device Entered(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            CudaQueue.Enter(device.index);
        }
        return device;
    }

    /// <summary>The part of a batch that is this rank's own: neighbours in one order, whatever the number of ranks.</summary>
    /// <param name="context">So many ranks take the same rows, each its part of every one.</param>
    public (int First, int Count) ShareOf(int rows, int context = 1) =>
        Shares.Of(rows, Place.Data / context, Layout.Data / context);
}
