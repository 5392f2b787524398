using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Simulation;

public sealed class PolicyComparisonTests
{
    private static readonly SimulatedPipeline What = SimulatedPipeline.For(
        new PipelineSpec
        {
            Name = "small", Precision = Precision.Fp8, Resources = new ResourceSpec { Nodes = 256, RanksPerNode = 8, Gpu = "h800" },
            Stages =
            [
                new StageSpec
                {
                    Name = "pretrain",
                    Recipe = new StageRecipe.Pretraining
                    {
                        Tokens = 14_800_000_000_000,
                        SequenceLength = 4096,
                        BatchSize = new BatchRamp { From = 3072, To = 15360 },
                    },
                },
            ],
        },
        null, null, FaultMix.None, 1, TimeSpan.FromDays(1)).Of!;

    private static readonly Lazy<SimulationReport> Played = new(What.Run);

    [Fact]
    public void A_seed_without_a_fault_is_no_instant_recovery()
    {
        var first = Compared(r => r.Seed == 1 ? r with { MeanRecoverySeconds = 300 } : r with { MeanRecoverySeconds = null });
        Assert.Equal(300, first.RecoverySeconds!.Mean);
        Assert.Null(Compared(r => r with { MeanRecoverySeconds = null }).RecoverySeconds);
    }

    [Fact]
    public void A_run_that_gave_up_is_told_of_and_in_no_mean()
    {
        var first = Compared(r => r.Seed == 2 ? r with { State = "failed", WallClockSeconds = 1 } : r with { WallClockSeconds = 86_400 });
        Assert.Equal(1, first.Days!.Mean, 1e-9);
        Assert.Equal([2L], first.GaveUp);
        Assert.Equal(1, first.Completed);
    }

    [Fact]
    public void Other_launchers_have_no_limit_of_restarts()
    {
        var torchrun = SimulatedPolicy.All.Single(p => p.Name == "torchrun at its best").Apply(What);
        Assert.Equal(int.MaxValue, torchrun.Pipeline.Recovery.MaxRestarts);
        Assert.Equal(int.MaxValue, torchrun.Pipeline.Recovery.MaxSameFault);
    }

    private static ComparedPolicy Compared(Func<SimulationReport, SimulationReport> change)
    {
        ImmutableArray<SimulationReport> reports =
            [.. PolicyComparison.Plays(What, 2).Select(p => change(Played.Value with { Seed = p.Seed }))];
        return PolicyComparison.Of(What, 2, reports).Policies[0];
    }
}
