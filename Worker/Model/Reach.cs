using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// Which places of a pass's sequences are here, and how far back each of them attends: within its own document where there are several.
/// Made once for all layers.
/// </summary>
/// <param name="Part">What of the sequences is here; null: all.</param>
/// <param name="Runs">Neighbouring places that are here: where they begin in the sequence, how many they are, and which of the places up to
/// their end each attends to, [rows or 1, 1, count, start + count] bool. Null: all up to itself.</param>
internal sealed record Reach(SequencePart? Part, (long Start, long Count, Tensor? Mask)[] Runs)
{
    public long Places => Runs.Sum(r => r.Count);

    /// <param name="tokens">[rows, seq] of the whole sequences.</param>
    /// <param name="segments">[rows, seq]: a place attends only within its own segment; null: there is but one.</param>
    public static Reach Of(Tensor tokens, Tensor? segments, SequencePart? part)
    {
        Tensor? Mask(long start, long count)
        {
            if (segments is null && start == 0)
            {
                return null;
            }
            var until = ones([count, start + count], @bool, tokens.device).tril(start);
            return segments is null ? until.unsqueeze(0).unsqueeze(0)
                : (segments.narrow(1, 0, start + count).unsqueeze(1) == segments.narrow(1, start, count).unsqueeze(2))
                    .logical_and(until).unsqueeze(1);
        }
        (long Start, long Count)[] runs = part?.Runs ?? [(0, tokens.shape[1])];
        return new Reach(part, [.. runs.Select(run => (run.Start, run.Count, Mask(run.Start, run.Count)))]);
    }

    /// <summary>Of the places that are here, [places, rope_dim / 2] complex.</summary>
    public Tensor Rotations(Rope rope) => Runs is [var all] ? rope.At(all.Start, all.Count)
        : cat([.. Runs.Select(run => rope.At(run.Start, run.Count))]);

    /// <summary>query [rows, heads, places, …] of what is here; key and value [rows, heads, read, …] of all up to its end.</summary>
    public Tensor Attend(Tensor query, Tensor key, Tensor value, double scale)
    {
        if (Runs is [var all])
        {
            return Operators.Attention(query, key, value, all.Mask, causal: all.Mask is null, scale);
        }
        var (mixed, from) = (new List<Tensor>(), 0L);
        foreach (var (start, count, mask) in Runs)
        {
            // What comes after a run is not even looked at.
            mixed.Add(Operators.Attention(
                query.narrow(2, from, count), key.narrow(2, 0, start + count), value.narrow(2, 0, start + count), mask,
                causal: mask is null, scale));
            from += count;
        }
        return cat(mixed, 2);
    }

    /// <summary>The same, where the last places of the sequences are left out.</summary>
    public Reach Shortened(int by)
    {
        var part = Part?.Shortened(by);
        (long Start, long Count)[] left = part?.Runs ?? [(0, Places - by)];
        return new Reach(part, [.. left.Zip(Runs).Select(pair => (pair.First.Start, pair.First.Count,
            pair.Second.Mask?.narrow(2, 0, pair.First.Count).narrow(3, 0, pair.First.Start + pair.First.Count)))]);
    }
}
