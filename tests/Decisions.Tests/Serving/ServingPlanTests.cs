using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Serving;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Serving;

public sealed class ServingPlanTests
{
    [Fact]
    public void The_published_units_have_the_published_slots()
    {
        var plan = ServingPlan.Of(new ExpertLoads([[.. Enumerable.Range(1, 256).Select(i => (double)i)]], 8, 8));
        Assert.Equal([(32, 9), (320, 1), (32, 9), (144, 2)], plan.Deployments.Select(d => (d.Unit.Gpus, d.SlotsPerGpu)));
        Assert.Equal([288, 320, 288, 288], plan.Deployments.Select(d => d.Slots));
        Assert.All(plan.Deployments, d => Assert.Equal(d.Unit.Gpus, d.Unit.Nodes * 8));
    }

    [Fact]
    public void A_unit_far_larger_than_the_model_draws_a_warning_and_V3s_own_do_not()
    {
        static IEnumerable<string> TooLarge(int experts) =>
            ServingPlan.Of(new ExpertLoads([[.. Enumerable.Repeat(1.0, experts)]], 8, 8)).Notes
            .Where(n => n.Contains("only repeat an expert", StringComparison.Ordinal));
        Assert.Empty(TooLarge(256));
        Assert.Contains(TooLarge(8), n => n.StartsWith("decode: 8 experts on 320 GPUs", StringComparison.Ordinal));
    }

    [Fact]
    public void The_units_differ_in_how_attention_is_spread() => Assert.Equal(
        [(4, 8), (4, 80), (1, 32), (1, 144)], ServingUnit.Published.Select(u => (u.Tensor, u.Data)));

    [Fact]
    public void A_hot_expert_is_replicated_until_the_gpus_are_nearly_even()
    {
        double[] load = [.. Enumerable.Range(0, 256).Select(i => i == 17 ? 4000.0 : 1000)];
        var prefill = ServingPlan.Of(new ExpertLoads([[.. load]], 8, 8)).Deployments[0];
        Assert.InRange(prefill.Before, 1.35, 1.4);
        Assert.InRange(prefill.After, 1, 1.1);
        Assert.True(prefill.SlotExperts[0].Count(e => e == 17) > 1);
    }

    [Fact]
    public void The_shared_expert_of_the_decode_unit_gets_a_ninth_of_the_slots()
    {
        var decode = ServingPlan.Of(new ExpertLoads([[.. Enumerable.Repeat(1.0, 256)]], 8, 8)).Deployments[1];
        Assert.InRange(decode.SlotExperts[0].Count(e => e == 256), 32, 64);
        Assert.True(decode.After < decode.Before / 10);
    }

    [Fact]
    public void Every_expert_has_a_slot_every_gpu_its_slots_and_no_layer_is_worse_than_without_redundancy() =>
        Gen.Select(Gen.Double[0.001, 1000].Array[64], Gen.Double[1, 6], Gen.Int[0, 3]).Sample((load, power, width) =>
        {
            int experts = 8 << width;
            ImmutableArray<double> layer = [.. load.Take(experts).Select(l => Math.Pow(l, power))];
            return ServingPlan.Of(new ExpertLoads([layer, [.. layer.Reverse()]], 4, 2)).Deployments.All(d =>
                d.SlotExperts.All(own => own.Length == d.Slots && own.Distinct().Count() == experts + (d.Unit.SharedRouted ? 1 : 0))
                && d.AfterByLayer.Zip(d.BeforeByLayer).All(b => b.First >= 1 - 1e-9 && b.First <= b.Second + 1e-9));
        });

    [Theory]
    [InlineData("1,2;1", 1, 1, "layer 1 has 1 experts and layer 0 has 2")]
    [InlineData("1,-2", 1, 1, "layer 0, expert 1: the load is -2")]
    [InlineData("1,NaN", 1, 1, "layer 0, expert 1: the load is NaN")]
    [InlineData("0,0", 1, 1, "layer 0: no expert has any load")]
    [InlineData("1,2", 3, 1, "groups is 3; 2 experts do not divide into them")]
    [InlineData("1,2", 1, 5, "expertsPerToken is 5; it must lie between 1 and 2")]
    public void Wrong_loads_are_told_in_words(string loads, int groups, int perToken, string says)
    {
        var layers = loads.Split(';')
            .Select(l => l.Split(',').Select(v => double.Parse(v, System.Globalization.CultureInfo.InvariantCulture)).ToImmutableArray());
        Assert.Contains(says, Assert.Single(new ExpertLoads([.. layers], groups, perToken).Problems()), StringComparison.Ordinal);
    }
}
