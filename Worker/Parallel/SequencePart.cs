using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// What a rank holds of each sequence that it shares with others (context parallelism). Of n ranks a sequence has 2n chunks, and rank r has
/// the chunk r from its beginning and the one as far from its end: late places attend to more than early ones, and so each rank has as much
/// to do (docs/decisions/0045-latents-are-gathered.md).
/// </summary>
/// <param name="Group">Those that share the sequence, by whose order it is cut.</param>
/// <param name="Whole">Places of the sequence as it was cut.</param>
/// <param name="Length">How many of them there still are: modules that predict further have none for the last ones.</param>
public sealed record SequencePart(IProcessGroup Group, long Whole, long Length)
{
    /// <summary>This rank's two runs of neighbouring places.</summary>
    public (long Start, long Count)[] Runs { get; } = RunsOf(Whole, Length, Group.Ranks, Group.Own);

    /// <summary>How many places this rank has.</summary>
    public long Places => Runs.Sum(r => r.Count);

    /// <summary>So many places of the sequence, from its beginning, this rank's last one attends to.</summary>
    public long Read => Runs.Max(r => r.Count == 0 ? 0 : r.Start + r.Count);

    /// <returns>Null: nobody shares.</returns>
    /// <param name="ranks">That share a sequence: one of <see cref="GangLayout.Contexts"/>, or 1.</param>
    /// <exception cref="InvalidDataException">It is too short to be cut so.</exception>
    public static SequencePart? Of(Mesh mesh, int ranks, long length, int mtpDepth)
    {
        Require(ranks, length, mtpDepth);
        return ranks == 1 ? null : new SequencePart(mesh.Contexts[ranks], length, length);
    }

    /// <summary>Also where modules that predict further leave out its end, each chunk has a place.</summary>
    /// <exception cref="InvalidDataException">It is too short.</exception>
    public static void Require(int ranks, long length, int mtpDepth)
    {
        if (ranks > 1 && length / (2 * ranks) <= mtpDepth)
        {
            throw new InvalidDataException(
                $"A sequence of {length} tokens is too short to be shared by {ranks} ranks (contextParallel, cp): it is cut into "
                    + $"{2 * ranks} chunks of more than {mtpDepth} each. Choose fewer ranks, or at least "
                    + $"{2 * ranks * (mtpDepth + 1)} tokens.");
        }
    }

    /// <summary>Two runs of a rank. The second is the later one, so that the end of a sequence is the end of what its rank has.</summary>
    public static (long Start, long Count)[] RunsOf(long whole, long length, int ranks, int rank)
    {
        (long, long) Chunk(long chunk)
        {
            var (start, end) = (Math.Min(length, whole * chunk / (2 * ranks)), Math.Min(length, whole * (chunk + 1) / (2 * ranks)));
            return (start, end - start);
        }
        return [Chunk(rank), Chunk((2 * ranks) - 1 - rank)];
    }

    /// <summary>The same, where the last places of the sequence are left out.</summary>
    public SequencePart Shortened(long by) => new(Group, Whole, Whole - by);

    /// <summary>This rank's places of what all know of the sequence.</summary>
    /// <param name="whole">[rows, length + ahead, …]</param>
    /// <param name="ahead">So many places further on.</param>
    /// <returns>[rows, places, …]</returns>
    public Tensor Cut(Tensor whole, long ahead = 0) => cat([.. Runs.Select(run => whole.narrow(1, run.Start + ahead, run.Count))], 1);

    /// <summary>
    /// What each rank has of a sequence, put together on all of them; gradients of it are summed up over the ranks, and each gets those of
    /// its own places.
    /// </summary>
    /// <param name="own">[rows, places, width]</param>
    /// <returns>[rows, length, width]</returns>
    public Tensor Gather(Tensor own)
    {
        var runs = Enumerable.Range(0, Group.Ranks).Select(rank => RunsOf(Whole, Length, Group.Ranks, rank)).ToList();
        var longest = runs.Max(r => r.Sum(run => run.Count));
        if (runs.Exists(r => r.Sum(run => run.Count) < longest))
        {
            // On all ranks, so that their graphs are alike.
            var missing = longest - own.shape[1];
            own = cat([own, zeros([own.shape[0], missing, own.shape[2]], own.dtype, own.device)], 1);
        }
        var all = GatherFunction.apply(own, Group); // [ranks, rows, longest, width]
        return cat(
            [
                .. runs.Select((r, rank) => all.select(0, rank).narrow(1, 0, r[0].Count)),
                .. runs.Select((r, rank) => all.select(0, rank).narrow(1, r[0].Count, r[1].Count)).Reverse(),
            ], 1);
    }

    private sealed class GatherFunction : SingleTensorFunction<GatherFunction>
    {
        public override string Name => nameof(SequencePart);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(nameof(Group), vars[1]);
            return ((IProcessGroup)vars[1]).AllGather((Tensor)vars[0]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            var group = (IProcessGroup)ctx.get_data(nameof(Group));
            long[] part = [.. grad_output.shape[1..]];
            return CustomBackward.Run(
                grad_output, () => [group.ReduceScatter(grad_output.flatten(0, 1)), null], part, null);
        }
    }
}
