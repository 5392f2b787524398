using System.Numerics;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// A seeded shuffle of [0, count) whose i-th entry is computed alone: a four-round Feistel network over the next even number of
/// bits, walked until the value falls into range. No table, so resuming in the middle of an epoch costs nothing.
/// </summary>
public readonly record struct Permutation
{
    private const int Rounds = 4;
    private readonly int _halfBits;

    public Permutation(long count, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        Count = count;
        Seed = seed;
        var bits = 64 - BitOperations.LeadingZeroCount((ulong)(count - 1));
        _halfBits = Math.Max(1, (bits + 1) / 2);
    }

    public long Count { get; }

    public long Seed { get; }

    public long this[long index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)index, (ulong)Count, nameof(index));
            var value = (ulong)index;
            do
            {
                value = Encrypt(value);
            }
            while (value >= (ulong)Count);
            return (long)value;
        }
    }

    private ulong Encrypt(ulong value)
    {
        var mask = (1UL << _halfBits) - 1;
        var (left, right) = (value >> _halfBits, value & mask);
        for (var round = 1; round <= Rounds; round++)
        {
            var mixed = SeededRandom.Mix(right ^ SeededRandom.Mix((ulong)Seed + (ulong)round)) & mask;
            (left, right) = (right, left ^ mixed);
        }
        return (left << _halfBits) | right;
    }
}
