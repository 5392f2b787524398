using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>
/// Where tensors live: cpu, cuda (the GPU of the rank's own number on its node), cuda:N, or auto (a GPU if there is one).
/// </summary>
public static class ComputeDevice
{
    /// <summary>Overrides what plans say, for one host or one try.</summary>
    public const string Variable = "DSOPS_DEVICE";

    /// <summary>The GPU that this process computes on, by CUDA's numbering: it has one, as ranks do.</summary>
    public static int OwnGpu { get; private set; }

    /// <param name="wanted">What the plan says; empty is auto.</param>
    /// <param name="localRank">Ranks of one node take a GPU each.</param>
    public static Device Choose(string wanted, int localRank = 0)
    {
        var named = Environment.GetEnvironmentVariable(Variable);
        var device = string.IsNullOrEmpty(named) ? Parse(wanted, "The plan's device", localRank) : Parse(named, Variable, localRank);
        if (device.type == DeviceType.CUDA)
        {
            OwnGpu = device.index;
        }

        return device;
    }

    internal static Device Parse(string text, string source, int localRank = 0)
    {
        LibtorchLoading.Require();
        var index = localRank;
        switch (text.Split(':'))
        {
            case [""] or ["auto"]:
                if (cuda.is_available())
                {
                    break;
                }

                return CPU;
            case ["cpu"]:
                return CPU;
            case ["cuda"]:
            case ["cuda", var number] when int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out index):
                break;
            default:
                throw new InvalidDataException($"{source} is '{text}'. Use cpu, cuda, cuda:N or auto.");
        }

        if (!cuda.is_available())
        {
            throw new InvalidDataException(
                $"{source} is '{text}', and the libtorch in {LibtorchLoading.Folder ?? "use"} finds no GPU. "
                + "Use cpu, or set DSOPS_LIBTORCH to the folder torch/lib of a PyTorch 2.10 or 2.11 built for CUDA.");
        }

        return index < cuda.device_count()
            ? new Device(DeviceType.CUDA, index)
            : throw new InvalidDataException($"{source} is '{text}', and there are {cuda.device_count()} GPUs, numbered from 0."
                + (index == localRank && index > 0
                    ? $" This is rank {index} of its node: set ranksPerNode to at most {cuda.device_count()}." : ""));
    }
}
