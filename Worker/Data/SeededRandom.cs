namespace DeepSeekOps.Worker.Data;

/// <summary>
/// A counter-based generator (SplitMix64): the numbers of (seed, stream, index) can be drawn without drawing those before,
/// so that any sample of an endless data set is reached in O(1), on every machine and runtime alike.
/// </summary>
public struct SeededRandom
{
    private const ulong Step = 0x9E3779B97F4A7C15UL;
    private ulong _state;

    public SeededRandom(long seed, string stream, long index)
    {
        var hash = 14695981039346656037UL;
        foreach (var letter in stream)
        {
            hash = (hash ^ letter) * 1099511628211UL;
        }
        _state = Mix(Mix((ulong)seed ^ hash) + (ulong)index);
    }

    public ulong NextUInt64()
    {
        _state += Step;
        return Mix(_state);
    }

    /// <summary>What the call after so many further ones would give, without them.</summary>
    public readonly ulong Ahead(long calls) => Mix(_state + (((ulong)calls + 1) * Step));

    /// <summary>Uniform in [0, below). The modulo bias is below 2^-40 for every range used here.</summary>
    public int Next(int below) => (int)(NextUInt64() % (ulong)below);

    public int Next(int from, int to) => from + Next(to - from);

    public double NextDouble() => (NextUInt64() >> 11) * (1.0 / (1UL << 53));

    public T Pick<T>(ReadOnlySpan<T> choices) => choices[Next(choices.Length)];

    public static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9UL;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EBUL;
        return value ^ (value >> 31);
    }
}
