using DeepSeekOps.Contracts.Worker.V1;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>Stops that come in the middle of long work between two steps.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class BrokenOffTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    // No save is due before the stop: what the stop does not save is lost.
    [Theory]
    [InlineData("pretrain", 24)]
    [InlineData("extend", 12)]
    [InlineData("sft", 24)]
    [InlineData("rl", 24)]
    public void A_stop_during_an_evaluation_keeps_the_step_and_the_next_launch_measures_it(string stage, long step)
    {
        var plan = _mini.Plan(stage, every: 1000);
        using var whole = MiniPlans.Train(_mini.Launch(plan, stage, run: "whole"));
        using var first = MiniPlans.Train(_mini.Launch(plan, stage), StopIn("evaluating", step));
        Assert.Equal(step, first.Checkpoints[^1].Step);
        Assert.DoesNotContain(first.Evaluations, e => e.Step == step);
        Assert.DoesNotContain(first.Reports, r => r.Done is not null);
        using var second = MiniPlans.Train(_mini.Launch(plan, stage, attempt: 2, from: first.Checkpoints[^1]));
        Assert.Equal(
            whole.Evaluations.Where(e => e.Step > 0).Select(e => (e.Name, e.Value, e.Step)), second.Evaluations.Select(e => (e.Name, e.Value, e.Step)));
        Assert.Equal(whole.Samples.Skip((int)step).Select(s => (s.Step, s.Loss)), second.Samples.Select(s => (s.Step, s.Loss)));
        Assert.Single(second.Reports, r => r.Done is not null);
    }

    [Fact]
    public void A_stop_during_a_rollout_saves_the_last_whole_step_and_the_rollout_is_drawn_again()
    {
        var plan = _mini.Plan("rl", every: 1000);
        using var whole = MiniPlans.Train(_mini.Launch(plan, "rl", run: "whole"));
        using var first = MiniPlans.Train(_mini.Launch(plan, "rl"), StopIn("rollout", 7));
        var saved = Assert.Single(first.Checkpoints);
        Assert.Equal((7L, "question 14"), (saved.Step, saved.DataCursor));
        using var second = MiniPlans.Train(_mini.Launch(plan, "rl", attempt: 2, from: saved));
        Assert.Equal(whole.Samples.Skip(7).Select(s => (s.Step, s.Loss)), second.Samples.Select(s => (s.Step, s.Loss)));
    }

    private static Action<Agent.RecordingRankLink, RankReport> StopIn(string phase, long step) => (link, report) =>
    {
        if (report.Progress is { } progress && progress.Phase == phase && progress.Step == step)
        {
            link.OrderStop("a test breaks it off", save: true);
        }
    };
}
