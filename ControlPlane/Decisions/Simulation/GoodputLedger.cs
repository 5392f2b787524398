using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>
/// What a held GPU's second went into. The classes are Google's goodput classes (AI-Hypercomputer/ml-goodput-measurement) in our words;
/// each second is in exactly one.
/// </summary>
public enum GoodputBucket
{
    /// <summary>Steps whose result is in the run's end.</summary>
    Productive = 0,
    /// <summary>Steps that were made again after a restart: the work since the last durable checkpoint.</summary>
    Replayed = 1,
    /// <summary>Training stood still while a checkpoint was copied off the GPUs.</summary>
    CheckpointStall = 2,
    /// <summary>Something was broken and nobody had noticed.</summary>
    Detection = 3,
    /// <summary>Fence, place, load libtorch and the checkpoint, first step.</summary>
    Restart = 4,
    /// <summary>The gang was broken and no node was there to mend it.</summary>
    WaitingForNodes = 5,
    /// <summary>Nodes held ready to take over.</summary>
    Spare = 6,
    /// <summary>Nodes in repair that the run still pays for.</summary>
    Repair = 7,
    /// <summary>Start-up before the first step of a stage.</summary>
    StartUp = 8,
}

/// <summary>
/// Accounts every GPU-millisecond of a run into one bucket. Integers, so that the buckets add up to GPUs × wall clock exactly, after
/// every entry. Work is provisional until a checkpoint makes it durable: a restart moves what was provisional to Replayed.
/// </summary>
public sealed class GoodputLedger
{
    private static readonly int Buckets = Enum.GetValues<GoodputBucket>().Length;

    private readonly long[] milliseconds = new long[Buckets];
    private long provisional;

    /// <summary>Enters what <paramref name="gpus"/> GPUs did for a while. Training is entered as Productive and is provisional.</summary>
    public void Enter(GoodputBucket bucket, int gpus, TimeSpan span)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(gpus);
        ArgumentOutOfRangeException.ThrowIfLessThan(span, TimeSpan.Zero);
        long entered = checked(gpus * ToMilliseconds(span));
        milliseconds[(int)bucket] += entered;
        if (bucket == GoodputBucket.Productive)
        {
            provisional += entered;
        }
    }

    /// <summary>A checkpoint became durable: the training up to <paramref name="newer"/> GPU time before now can no longer be lost.</summary>
    /// <param name="gpus">GPUs that train.</param>
    /// <param name="newer">Training since the checkpoint's copy was taken; it stays provisional.</param>
    public void Durable(int gpus, TimeSpan newer) => provisional = Math.Min(provisional, checked(gpus * ToMilliseconds(newer)));

    /// <summary>The run goes back to its last durable checkpoint. Returns the GPU time that is lost.</summary>
    public TimeSpan RollBack()
    {
        long lost = provisional;
        milliseconds[(int)GoodputBucket.Productive] -= lost;
        milliseconds[(int)GoodputBucket.Replayed] += lost;
        provisional = 0;
        return TimeSpan.FromMilliseconds(lost);
    }

    /// <summary>GPU time in a bucket so far.</summary>
    public TimeSpan this[GoodputBucket bucket] => TimeSpan.FromMilliseconds(milliseconds[(int)bucket]);

    public TimeSpan Total => TimeSpan.FromMilliseconds(milliseconds.Sum());

    /// <summary>Effective training time ratio: productive over everything entered (arXiv 2410.21680, with queue and spares counted in).</summary>
    public double Ettr => Total > TimeSpan.Zero ? this[GoodputBucket.Productive] / Total : 0;

    public ImmutableSortedDictionary<GoodputBucket, TimeSpan> ToImmutable() =>
        Enum.GetValues<GoodputBucket>().ToImmutableSortedDictionary(b => b, b => this[b]);

    private static long ToMilliseconds(TimeSpan span) => (long)Math.Round(span.TotalMilliseconds);
}
