using CsCheck;
using DeepSeekOps.Decisions.Serving;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Serving;

public sealed class ExpertBalancerTests
{
    [Fact]
    public void The_published_example_comes_out()
    {
        double[][] load =
        [
            [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86],
            [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27],
        ];
        var placement = ExpertBalancer.Place(load, slots: 16, groups: 4, nodes: 2, gpus: 8);
        Assert.Equal([5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1], placement.SlotExperts[0]);
        Assert.Equal([7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1], placement.SlotExperts[1]);
    }

    [Fact]
    public void Every_expert_has_a_slot_and_replicas_never_raise_the_heaviest_load() =>
        Gen.Select(Gen.Double[0, 1000].Array[16], Gen.Int[0, 2], Gen.Bool).Sample((load, extra, hierarchical) =>
        {
            var slots = 16 + (extra * 8);
            var placement = ExpertBalancer.Place([load], slots, groups: hierarchical ? 4 : 3, nodes: 2, gpus: 8);
            var own = placement.SlotExperts[0];
            return own.Length == slots
                && own.Distinct().Count() == 16
                && placement.Replicas[0].Sum() == slots
                && Enumerable.Range(0, 16).Max(e => load[e] / placement.Replicas[0][e]) <= load.Max();
        });

    [Fact]
    public void Slots_that_do_not_divide_are_refused() =>
        Assert.Throws<ArgumentException>(() => ExpertBalancer.Place([[1, 2, 3, 4]], slots: 5, groups: 1, nodes: 1, gpus: 2));
}
