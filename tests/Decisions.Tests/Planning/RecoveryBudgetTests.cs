using System.Collections.Immutable;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Planning;

public sealed class RecoveryBudgetTests
{
    [Fact]
    public void A_gang_larger_than_any_of_ours_is_reckoned_with_published_seconds_and_each_phase_names_its_source()
    {
        var (few, many) = (RecoveryBudget.Of(4, 5.2424e9), RecoveryBudget.Of(2048, 5.2424e9));
        Assert.All(many.Phases, phase => Assert.True(phase.From <= phase.To && phase.Source.Length > 0, phase.Name));
        // All but the connecting is the same: 5 s of 2,048 GPUs (MegaScale) instead of ours of four.
        Assert.Equal(5 - 0.82, many.From - few.From, 9);
        Assert.Equal(5 - 0.87, many.To - few.To, 9);
        // 5.24 GB at 25 GB/s, once.
        Assert.Equal(0.2097, many.From - RecoveryBudget.Of(2048, 0).From, 4);
    }

    [Fact]
    public void What_is_drawn_lies_between_its_ends_and_leaves_the_deciding_to_the_simulation()
    {
        var budget = RecoveryBudget.Of(2048, 5.2424e9);
        var deciding = budget.Phases.Single(p => p.Name == "decided, and ordered");
        Assert.Equal(budget.From - deciding.From, budget.BesideDeciding(() => 0), 9);
        Assert.Equal(budget.To - deciding.To, budget.BesideDeciding(() => 1), 9);
    }
}
