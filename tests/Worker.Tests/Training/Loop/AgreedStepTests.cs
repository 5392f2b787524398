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

    /// <summary>Parts of a model on replicas, some of which came with nothing: who is to go on from a step has it or gets it.</summary>
    [Fact]
    public void Who_comes_with_nothing_is_given_what_another_with_the_same_part_holds_and_nobody_else_is() =>
        Gen.Select(Gen.Select(Gen.Int[-1, 2], Gen.Long[0, 4].Array[0, 2]).Array[1, 9], Gen.Long[-1, 4]).Sample((told, onDisk) =>
        {
            RankKept[] ranks =
                [.. told.Select(t => t.Item1 < 0 ? new RankKept("", []) : new RankKept($"part {t.Item1}", [.. t.Item2.Distinct()]))];
            var agreed = AgreedStep.Of(AgreedStep.WithHeldElsewhere(ranks), onDisk);
            var transfers = AgreedStep.Transfers(ranks).ToList();
            foreach (var (from, to) in transfers)
            {
                Assert.Equal(ranks[from].Tag, ranks[to].Tag);
                Assert.Empty(ranks[to].Steps);
                Assert.True(agreed is null || ranks[from].Steps.Contains(agreed.Value));
            }
            if (agreed is { } step)
            {
                Assert.InRange(step, onDisk, long.MaxValue);
                Assert.All(ranks.Index(), r => Assert.Equal(!r.Item.Steps.Contains(step), transfers.Exists(t => t.To == r.Index)));
            }
            else if (Array.TrueForAll(ranks, r => r.Steps.Count > 0))
            {
                Assert.Null(AgreedStep.Of([.. ranks.Select(r => r.Steps)], onDisk));
            }
        });

    [Fact]
    public void Replicas_take_turns_in_giving()
    {
        RankKept full = new("a", [4, 5]), empty = new("a", []), other = new("b", [5]);
        Assert.Equal([(0, 1), (3, 4), (0, 5)], AgreedStep.Transfers([full, empty, other, full, empty, empty]));
        Assert.Equal(5, AgreedStep.Of(AgreedStep.WithHeldElsewhere([full, empty, other]), onDisk: 3));
        // Of another part nobody has anything: the checkpoint counts.
        Assert.Null(AgreedStep.Of(AgreedStep.WithHeldElsewhere([full, new RankKept("b", [])]), onDisk: 3));
    }

    private static void Overwrite(HashSet<long> rank, long step)
    {
        if (rank.Count > 1)
        {
            rank.Remove(rank.Min());
        }
        rank.Add(step);
    }
}
