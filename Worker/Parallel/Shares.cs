using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Work that each rank of a group does a part of, and numbers that all then know.</summary>
public static class Shares
{
    /// <summary>A rank's own of so many, neighbours in one order, whatever the number of ranks.</summary>
    public static (int First, int Count) ShareOf(this IProcessGroup group, int all) => Of(all, group.Own, group.Ranks);

    public static (int First, int Count) Of(int all, int own, int ranks)
    {
        int End(int rank) => (int)((long)all * rank / ranks);
        return (End(own), End(own + 1) - End(own));
    }

    /// <summary>Of all ranks' numbers. Alone they stay as they are.</summary>
    public static int[] Sum(this IProcessGroup group, params int[] own)
    {
        using var sums = tensor(own, ScalarType.Int64);
        group.AllReduce([sums]);
        return Array.ConvertAll(sums.data<long>().ToArray(), s => (int)s);
    }

    /// <inheritdoc cref="Sum(IProcessGroup, int[])"/>
    public static double[] Sum(this IProcessGroup group, double[] own)
    {
        using var sums = tensor(own, ScalarType.Float64);
        group.AllReduce([sums]);
        return sums.data<double>().ToArray();
    }

    /// <summary>Lists of numbers, of which each rank has some, in the order of the ranks.</summary>
    public static List<int[]> Gather(this IProcessGroup group, IReadOnlyList<int[]> own)
    {
        if (group.Ranks == 1)
        {
            return [.. own];
        }
        int[] flat = [own.Count, .. own.Select(o => o.Length), .. own.SelectMany(o => o)];
        using var length = tensor(flat.Length, ScalarType.Int64).reshape(1);
        using var lengths = group.AllGather(length);
        var longest = (int)lengths.max().item<long>();
        Array.Resize(ref flat, longest);
        using var padded = tensor(flat);
        using var all = group.AllGather(padded);
        return [.. all.data<int>().ToArray().Chunk(longest).SelectMany(Split)];
    }

    private static IEnumerable<int[]> Split(int[] flat)
    {
        var at = 1 + flat[0];
        for (var i = 0; i < flat[0]; i++)
        {
            yield return flat[at..(at += flat[1 + i])];
        }
    }
}
