using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Cli;

/// <summary>
/// Products on one device: the same one twice, bit by bit, and one whose result is known; and what its memory carries. Run before anything
/// trains there, so it may take all of the device.
/// </summary>
internal static class DeviceTest
{
    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(1);
    private const int Rounds = 5;

    public static void Run(Device device, MachineFigures found)
    {
        var gpu = device.type == DeviceType.CUDA;
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var size = gpu ? 8192L : 1024;
        RandomStreams.Begin(1);
        var (left, right) = (randn(size, size, device: device), randn(size, size, device: device));
        if (gpu)
        {
            (left, right) = (left.to(ScalarType.BFloat16), right.to(ScalarType.BFloat16));
        }
        found.Wrong.AddRange(Unequal(device, () => left.mm(right)));
        found.Wrong.AddRange(Unknown(device, size, (a, b) => a.mm(b)));
        found.Tflops = Least(found.Tflops, 2.0 * size * size * size / Fastest(device, () => left.mm(right).Dispose()) / 1e12);
        var bytes = gpu ? 2L << 30 : 64 << 20;
        var from = arange(bytes / sizeof(long), dtype: ScalarType.Int64, device: device);
        var to = zeros_like(from);
        // Read once and written once.
        found.MemoryBytesPerSecond = Least(found.MemoryBytesPerSecond, 2.0 * bytes / Fastest(device, () => to.copy_(from)));
        if (!Same(to, from))
        {
            found.Wrong.Add($"{device}: {bytes >> 20} MiB copied in its memory came out changed");
        }
    }

    /// <summary>The same product twice: the kernels are the same and so is their order, so each bit has to be.</summary>
    internal static IEnumerable<string> Unequal(Device device, Func<Tensor> product)
    {
        using var scope = NewDisposeScope();
        var (once, again) = (product(), product());
        if (!Same(once, again))
        {
            var differ = once.ne(again).sum().ToInt64();
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{device}: the same matrix product twice differs in {differ:N0} of {once.numel():N0} numbers");
        }
    }

    /// <summary>
    /// Small whole numbers, whose sums float32 has exactly whatever the order; the row and column sums of the product are known without it
    /// (Huang and Abraham's checksums), so one wrong number is seen in a thousandth of the work.
    /// </summary>
    internal static IEnumerable<string> Unknown(Device device, long size, Func<Tensor, Tensor, Tensor> product)
    {
        using var scope = NewDisposeScope();
        var number = arange(size * size, dtype: ScalarType.Int64, device: device);
        // Primes, so that no row is like its neighbour.
        var (a, b) = (number.remainder(7).view(size, size), (number * 3).remainder(11).view(size, size));
        var got = product(a.to(ScalarType.Float32), b.to(ScalarType.Float32)).to(ScalarType.Float64);
        var (left, right) = (a.to(ScalarType.Float64), b.to(ScalarType.Float64));
        var rows = got.sum(dim: 1).ne(left.mv(right.sum(dim: 1))).sum().ToInt64();
        var columns = got.sum(dim: 0).ne(left.sum(dim: 0).unsqueeze(0).mm(right).squeeze(0)).sum().ToInt64();
        if (rows + columns > 0)
        {
            string row = rows == 1 ? "row" : "rows", column = columns == 1 ? "column" : "columns";
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{device}: a matrix product of known result is wrong in {rows:N0} {row} and {columns:N0} {column} of {size:N0}");
        }
    }

    private static bool Same(Tensor one, Tensor other) => one.eq(other).all().ToBoolean();

    private static double Least(double? known, double one) => Math.Min(known ?? double.PositiveInfinity, one);

    private static double Fastest(Device device, Action once)
    {
        var best = double.PositiveInfinity;
        var began = Stopwatch.GetTimestamp();
        for (var round = -1; round < Rounds && (round < 1 || Stopwatch.GetElapsedTime(began) < Enough); round++)
        {
            var first = Stopwatch.GetTimestamp();
            once();
            if (device.type == DeviceType.CUDA)
            {
                cuda.synchronize(device);
            }
            // The first one wakes libraries up.
            best = round < 0 ? best : Math.Min(best, Stopwatch.GetElapsedTime(first).TotalSeconds);
        }
        return best;
    }
}
