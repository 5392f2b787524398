using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
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

    public static CollectiveTimes Run(IProcessGroup ranks, IEnumerable<long> sizes)
    {
        var times = new CollectiveTimes();
        foreach (var bytes in sizes)
        {
            using var scope = NewDisposeScope();
            var numbers = ones(bytes / sizeof(float));
            times.Times.Add(Time("all_reduce", bytes, ranks, () => ranks.AllReduce([numbers])));
            var own = (bytes / sizeof(float) / ranks.Ranks) * ranks.Ranks;
            var (rows, each) = (numbers.narrow(0, 0, own).view(ranks.Ranks, own / ranks.Ranks),
                Enumerable.Repeat(1L, ranks.Ranks).ToArray());
            times.Times.Add(Time("all_to_all", bytes, ranks, () => ranks.AllToAll(rows, each, each).Dispose()));
        }
        return times;
    }

    private static CollectiveTime Time(string call, long bytes, IProcessGroup ranks, Action once)
    {
        var calls = (int)Math.Clamp(BytesARound / Math.Max(1, bytes), 3, MostCalls);
        var rounds = new List<double>();
        for (var round = -Warm; round < Rounds; round++)
        {
            ranks.Barrier();
            var began = Stopwatch.GetTimestamp();
            for (var i = 0; i < calls; i++)
            {
                once();
            }
            if (round >= 0)
            {
                rounds.Add(Stopwatch.GetElapsedTime(began).TotalSeconds / calls);
            }
        }
        rounds.Sort();
        return new CollectiveTime { Call = call, Bytes = bytes, Seconds = rounds[Rounds / 2] };
    }
}
