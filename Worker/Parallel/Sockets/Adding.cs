using System.Numerics;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>Adds arrays up where they lie.</summary>
internal static class Adding
{
    public static void To<T>(Span<T> sums, ReadOnlySpan<T> more)
        where T : unmanaged, INumber<T>
    {
        var i = 0;
        for (; i <= sums.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            (new Vector<T>(sums[i..]) + new Vector<T>(more[i..])).CopyTo(sums[i..]);
        }
        for (; i < sums.Length; i++)
        {
            sums[i] += more[i];
        }
    }
}
