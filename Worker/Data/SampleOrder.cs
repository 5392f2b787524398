namespace DeepSeekOps.Worker.Data;

/// <summary>
/// Which document a sample is. Samples are numbered through the epochs; an epoch reads each source as often as its weight says, all of them
/// shuffled together. Each answer is computed alone, from the seed: no list is kept, and who reads which part changes nothing.
/// </summary>
public sealed class SampleOrder
{
    private readonly IReadOnlyList<PreparedSource> _sources;
    private readonly long[] _ends; // samples of an epoch up to the end of each source
    private readonly long _seed;

    public SampleOrder(IReadOnlyList<PreparedSource> sources, long seed)
    {
        (_sources, _seed) = (sources, seed);
        _ends = new long[sources.Count];
        for (var i = 0; i < _ends.Length; i++)
        {
            Samples = _ends[i] = Samples + sources[i].Samples;
        }
    }

    /// <summary>Of an epoch.</summary>
    public long Samples { get; }

    public long DocumentOf(long sample)
    {
        var (epoch, within) = Math.DivRem(sample, Samples);
        // As raw files are shuffled, so that a set of weight 1 gives the documents of its files in their order.
        var place = new Permutation(Samples, _seed + epoch)[within];
        var at = Array.BinarySearch(_ends, place + 1);
        // Sources without a sample end where the one before them does; what is found may be any of those.
        for (at = at < 0 ? ~at : at; at > 0 && _ends[at - 1] > place; at--)
        {
        }
        var source = _sources[at];
        var own = place - (_ends[at] - source.Samples);
        if (source.Samples % source.Documents == 0)
        {
            return source.FirstDocument + (own % source.Documents);
        }
        // A part of a source, or a part more than a whole number of times: the next epoch goes on in its order where this one ends, so that
        // over the epochs each document is read as often as any other, give or take one.
        return source.FirstDocument
            + new Permutation(source.Documents, _seed)[((epoch * source.Samples) + own) % source.Documents];
    }
}
