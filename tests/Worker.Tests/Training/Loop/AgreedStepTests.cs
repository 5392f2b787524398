using CsCheck;
using DeepSeekOps.Worker.Training.Loop;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>Where a gang goes on from, by what its ranks hold.</summary>
public sealed class AgreedStepTests
{
    [Fact]
    public void The_agreed_step_is_the_newest_that_every_rank_holds_and_no_older_than_the_disk() =>
        Gen.Select(Gen.Long[0, 6].Array[0, 3].Array[1, 9], Gen.Long[-1, 6]).Sample((kept, onDisk) =>
        {
            var agreed = AgreedStep.Of(kept, onDisk);
            var right = Enumerable.Range(0, 7).Select(s => (long)s)
                .Where(s => s >= onDisk && Array.TrueForAll(kept, k => k.Contains(s))).ToList();
            Assert.Equal(right.Count == 0 ? null : right[^1], agreed);
            Assert.Equal(agreed, AgreedStep.Of([.. kept.Reverse()], onDisk));
        });

    /// <summary>
    /// Ranks as they keep: each the older of its two, only once all have made the step. Any of them may be stopped at any moment, between
    /// two steps or in the middle of writing: what all of them hold is the newest step but one at worst.
    /// </summary>
    [Fact]
    public void However_ranks_stop_at_most_one_step_is_lost() =>
        Gen.Select(Gen.Int[2, 6], Gen.Int[1, 40], Gen.Int[0, 1000].Array[6]).Sample((ranks, steps, where) =>
        {
            var kept = Enumerable.Range(0, ranks).Select(_ => new HashSet<long> { 0 }).ToArray();
            for (long step = 1; step <= steps; step++)
            {
                foreach (var rank in kept)
                {
                    Overwrite(rank, step);
                }
            }
            // The step after it all have made, and each has got as far as chance had it: not begun, in the middle, done.
            for (var rank = 0; rank < ranks; rank++)
            {
                if (where[rank] % 3 > 0)
                {
                    kept[rank].Remove(kept[rank].Count > 1 ? kept[rank].Min() : -1);
                }
                if (where[rank] % 3 == 2)
                {
                    kept[rank].Add(steps + 1);
                }
            }
            Assert.InRange(AgreedStep.Of(kept, onDisk: -1) ?? -1, steps, steps + 1);
        });

    private static void Overwrite(HashSet<long> rank, long step)
    {
        if (rank.Count > 1)
        {
            rank.Remove(rank.Min());
        }
        rank.Add(step);
    }
}
