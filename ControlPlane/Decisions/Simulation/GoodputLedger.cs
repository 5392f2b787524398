using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>
/// What a GPU's second went into. The classes are Google's goodput classes (AI-Hypercomputer/ml-goodput-measurement) in our words;
/// each second is in exactly one.
/// </summary>
public enum GoodputBucket
{
    /// <summary>Steps whose result is in the run's end, or in the newest attempt where the run has not ended.</summary>
    Productive = 0,
    /// <summary>Steps beyond the checkpoint that the next attempt went on from: they were made again.</summary>
    LostWork = 1,
    /// <summary>Training stood still while a checkpoint was copied off the GPUs.</summary>
    Checkpoint = 2,
    /// <summary>Something was broken and nobody had noticed.</summary>
    Detection = 3,
    /// <summary>From the notice to the first new step: fence, pods, load.</summary>
    Restart = 4,
    /// <summary>The first launch of a stage, and its end after the last step.</summary>
    StartUp = 5,
    /// <summary>Free, while a gang waits that they are too few for.</summary>
    Queue = 6,
    /// <summary>Free, and nobody asks: spares, and nodes that the current stage does not need.</summary>
    Idle = 7,
    /// <summary>Broken, until the repair.</summary>
    Repair = 8,
    /// <summary>
    /// While a gang trains with fewer nodes: whole ones that its smaller layout has no use for, and what its others lose by being dealt
    /// unevenly.
    /// </summary>
    Shrunk = 9,
}

/// <summary>
/// Accounts every GPU-tick (100 ns) into one bucket. Integers, so that the buckets add up to GPUs × wall clock exactly after every
/// entry.
/// </summary>
public sealed class GoodputLedger
{
    private static readonly int Buckets = Enum.GetValues<GoodputBucket>().Length;

    private readonly long[] gpuTicks = new long[Buckets];
    private readonly SortedDictionary<string, long> lostByCause = new(StringComparer.Ordinal);

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
    public void Lose(string cause, long lost)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(lost);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lost, gpuTicks[(int)GoodputBucket.Productive]);
        gpuTicks[(int)GoodputBucket.Productive] -= lost;
        gpuTicks[(int)GoodputBucket.LostWork] += lost;
        Blame(cause, lost);
    }

    /// <summary>GPU time in a bucket so far.</summary>
    public TimeSpan this[GoodputBucket bucket] => TimeSpan.FromTicks(gpuTicks[(int)bucket]);

    public TimeSpan Total => TimeSpan.FromTicks(gpuTicks.Sum());

    /// <summary>GPU time that each fault cost, beside the repair: lost work, detection, restart and queue.</summary>
    public ImmutableSortedDictionary<string, TimeSpan> LostByCause =>
        lostByCause.ToImmutableSortedDictionary(c => c.Key, c => TimeSpan.FromTicks(c.Value), StringComparer.Ordinal);

    private void Blame(string cause, long lost)
    {
        if (cause.Length > 0)
        {
            lostByCause[cause] = lostByCause.GetValueOrDefault(cause) + lost;
        }
    }
}
