using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Times the collective calls of a gang.</summary>
public static class CollectiveBenchmark
{
    private const int Rounds = 7;
    private const int Warm = 3;

    /// <summary>A round moves about so much, so that short calls are many.</summary>
    private const long BytesARound = 32 << 20;
    private const int MostCalls = 200;

    /// <summary>In the message of a sum that is not what it has to be.</summary>
    public const string WrongSum = "is not the one in float64";

    private static readonly TimeSpan RoundTime = TimeSpan.FromMilliseconds(200);

    public static CollectiveTimes Run(IProcessGroup ranks, IEnumerable<long> sizes, Device device, string carrier)
    {
        var times = new CollectiveTimes { Carrier = carrier };
        // What was queued on a GPU is done only then.
        Action wait = device.type == DeviceType.CUDA ? () => cuda.synchronize() : () => { };
        foreach (var bytes in sizes)
        {
            using var scope = NewDisposeScope();
            var numbers = ones(bytes / sizeof(float), device: device);
            times.Times.Add(Time("all_reduce", bytes, ranks, wait, () => ranks.AllReduce([numbers])));
            var own = (bytes / sizeof(float) / ranks.Ranks) * ranks.Ranks;
            var (rows, each) = (numbers.narrow(0, 0, own).view(ranks.Ranks, own / ranks.Ranks),
                Enumerable.Repeat(1L, ranks.Ranks).ToArray());
            times.Times.Add(Time("all_to_all", bytes, ranks, wait, () => ranks.AllToAll(rows, each, each).Dispose()));
            RequireSum(ranks, bytes / sizeof(float), ScalarType.Float32, device);
            if (device.type == DeviceType.CUDA)
            {
                var gradients = RequireSum(ranks, bytes / 2, ScalarType.BFloat16, device);
                times.Times.Add(Time("all_reduce_bf16", bytes, ranks, wait, () => ranks.AllReduce([gradients])));
            }
        }
        return times;
    }

    /// <summary>So many whole numbers, added up: exactly, whatever the order.</summary>
    /// <exception cref="InvalidDataException">They are others.</exception>
    private static Tensor RequireSum(IProcessGroup ranks, long count, ScalarType type, Device device)
    {
        const int Different = 13; // times up to 8: whole numbers that bfloat16 has
        var pattern = arange(count, dtype: ScalarType.Int64, device: device).remainder(Different);
        var numbers = (pattern * ((ranks.Own % 8) + 1)).to(type);
        var wanted = (pattern * Enumerable.Range(0, ranks.Ranks).Sum(r => (r % 8) + 1)).to(type);
        ranks.AllReduce([numbers]);
        return numbers.eq(wanted).all().ToBoolean() ? numbers
            : throw new InvalidDataException($"The sum of {count} {type} numbers over {ranks.Ranks} ranks {WrongSum}.");
    }

    private static CollectiveTime Time(string call, long bytes, IProcessGroup ranks, Action wait, Action once)
    {
        once();
        wait();
        ranks.Barrier();
        var first = Stopwatch.GetTimestamp();
        once();
        wait();
        // As many on every rank, and so many that a round of slow calls ends soon.
        var fitting = RoundTime.TotalSeconds / Stopwatch.GetElapsedTime(first).TotalSeconds;
        var calls = (int)ranks.Broadcast((long)Math.Clamp(Math.Min(fitting, BytesARound / Math.Max(1, bytes)), 3, MostCalls));
        var rounds = new List<double>();
        for (var round = -Warm; round < Rounds; round++)
        {
            ranks.Barrier();
            var began = Stopwatch.GetTimestamp();
            for (var i = 0; i < calls; i++)
            {
                once();
            }
            wait();
            if (round >= 0)
            {
                rounds.Add(Stopwatch.GetElapsedTime(began).TotalSeconds / calls);
            }
        }
        rounds.Sort();
        return new CollectiveTime { Call = call, Bytes = bytes, Seconds = rounds[Rounds / 2] };
    }
}
