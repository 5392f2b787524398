using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Goodput;

/// <summary>A ledger as it is written down.</summary>
/// <param name="GpuTicks">By bucket's number; one from before a bucket was known is shorter.</param>
public sealed record GoodputAccount(ImmutableArray<long> GpuTicks, ImmutableSortedDictionary<string, long> LostByCause)
{
    public static readonly GoodputAccount Empty = new([], ImmutableSortedDictionary.Create<string, long>(StringComparer.Ordinal));
}

/// <summary>
/// Accounts every GPU-tick (100 ns) into one bucket. Integers, so that the buckets add up to GPUs × wall clock exactly after every
/// entry. The simulator enters what its virtual GPUs do, and a stage what it knows of its ranks.
/// </summary>
public sealed class GoodputLedger
{
    private static readonly int Buckets = Enum.GetValues<GoodputBucket>().Length;

    private readonly long[] gpuTicks = new long[Buckets];
    private readonly SortedDictionary<string, long> lostByCause = new(StringComparer.Ordinal);

    public GoodputLedger() { }

    /// <summary>Goes on from what was written.</summary>
    public GoodputLedger(GoodputAccount written)
    {
        written.GpuTicks.CopyTo(gpuTicks);
        foreach (var (cause, lost) in written.LostByCause)
        {
            lostByCause[cause] = lost;
        }
    }

    /// <param name="cause">The fault that it is owed to; empty: none.</param>
    public void Enter(GoodputBucket bucket, string cause, int gpus, TimeSpan span)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(gpus);
        ArgumentOutOfRangeException.ThrowIfLessThan(span, TimeSpan.Zero);
        long entered = checked(gpus * span.Ticks);
        gpuTicks[(int)bucket] = checked(gpuTicks[(int)bucket] + entered);
        Blame(cause, entered);
    }

    /// <summary>Training that was entered as productive is made again.</summary>
    public void Lose(string cause, long lost) => Take(GoodputBucket.LostWork, cause, lost);

    /// <summary>Time that was entered as productive turns out to have been another's.</summary>
    public void Take(GoodputBucket bucket, string cause, long lost)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(lost);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lost, gpuTicks[(int)GoodputBucket.Productive]);
        gpuTicks[(int)GoodputBucket.Productive] -= lost;
        gpuTicks[(int)bucket] += lost;
        Blame(cause, lost);
    }

    /// <summary>GPU time in a bucket so far.</summary>
    public TimeSpan this[GoodputBucket bucket] => TimeSpan.FromTicks(gpuTicks[(int)bucket]);

    public TimeSpan Total => TimeSpan.FromTicks(gpuTicks.Sum());

    /// <summary>GPU time that each fault cost, beside the repair: lost work, detection, restart and queue.</summary>
    public ImmutableSortedDictionary<string, TimeSpan> LostByCause =>
        lostByCause.ToImmutableSortedDictionary(c => c.Key, c => TimeSpan.FromTicks(c.Value), StringComparer.Ordinal);

    public GoodputAccount ToAccount() =>
        new([.. gpuTicks], lostByCause.ToImmutableSortedDictionary(StringComparer.Ordinal));

    private void Blame(string cause, long lost)
    {
        if (cause.Length > 0 && lost > 0)
        {
            lostByCause[cause] = lostByCause.GetValueOrDefault(cause) + lost;
        }
    }
}
