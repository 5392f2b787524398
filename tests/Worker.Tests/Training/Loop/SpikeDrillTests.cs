using DeepSeekOps.Decisions.Spikes;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>A provoked divergence, from the flag to a run that is as good as one that nothing happened to.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class SpikeDrillTests(HealthyDrill healthy) : IClassFixture<HealthyDrill>, IDisposable
{
    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("dsops-spikes-");

    public void Dispose() => root.Delete(recursive: true);

    [Fact]
    public void A_learning_rate_of_thirty_times_that_passed_is_undone_and_no_batch_is_blamed()
    {
        Assert.Empty(healthy.Result.Stage.LossActs);
        // The rank is killed within what is trained again: that changes nothing either.
        var run = new SpikeDrill(root.FullName, seed: 1, SpikeFault.Rate) { KillAt = SpikeDrill.FaultAt + 30 }.Run();
        var act = Assert.Single(run.Stage.LossActs);
        Assert.Equal((LossMove.Replay, LossOutcome.Verified, 0), (act.Move, act.Outcome, act.Batches));
        // To the last bit: all that the fault touched was trained again.
        Assert.Equal(healthy.Result.Losses, run.Losses);
        Assert.Equal(healthy.Result.HeldOut, run.HeldOut);
    }

    [Fact]
    public void A_window_of_noise_in_the_data_is_left_out_once_it_has_spoilt_the_loss_a_second_time()
    {
        // The control plane forgets all but what is written, between the way back and what it shows.
        var run = new SpikeDrill(root.FullName, seed: 1, SpikeFault.Data) { ForgetAt = SpikeDrill.FaultAt - 5 }.Run();
        Assert.Equal([LossMove.Replay, LossMove.RollBack], run.Stage.LossActs.Select(a => a.Move));
        Assert.Equal([LossOutcome.CameAgain, LossOutcome.Verified], run.Stage.LossActs.Select(a => a.Outcome));
        Assert.InRange(run.HeldOut / healthy.Result.HeldOut, 0.98, 1.02);
    }
}

/// <summary>What both faults are held against.</summary>
public sealed class HealthyDrill : IDisposable
{
    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("dsops-spikes-");

    public HealthyDrill() => Result = new SpikeDrill(root.FullName, seed: 1, SpikeFault.None).Run();

    internal SpikeDrillResult Result { get; }

    public void Dispose() => root.Delete(recursive: true);
}
