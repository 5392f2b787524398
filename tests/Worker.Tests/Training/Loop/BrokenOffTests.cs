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
            whole.Evaluations.Where(e => e.Step > 0).Select(e => (e.Name, e.Value, e.Step)),
            second.Evaluations.Select(e => (e.Name, e.Value, e.Step)));
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

    [Fact]
    public void A_stop_that_saves_nothing_ends_the_step_at_its_next_collective_call()
    {
        using var link = MiniPlans.Train(_mini.Launch(_mini.Plan("rl", every: 1000), "rl"), StopIn("training", 6, save: false));
        Assert.Equal(6, link.Samples[^1].Step);
        Assert.Empty(link.Checkpoints);
    }

    [Fact]
    public void Progress_tells_how_many_collective_calls_were_made()
    {
        using var link = MiniPlans.Train(_mini.Launch(_mini.Plan("sft", every: 1000), "sft"));
        var told = link.Reports.Where(r => r.Progress is not null).Select(r => (r.Progress.Step, r.Progress.CollectiveSequence)).ToList();
        Assert.Equal(told.Select(t => t.CollectiveSequence).Order(), told.Select(t => t.CollectiveSequence));
        // Each step has calls of its own: gradients and norm at least.
        Assert.All(told.GroupBy(t => t.Step).Select(g => g.First().CollectiveSequence).Chunk(2).Where(p => p.Length == 2),
            p => Assert.True(p[1] > p[0] + 1));
    }

    private static Action<Agent.RecordingRankLink, RankReport> StopIn(string phase, long step, bool save = true) => (link, report) =>
    {
        if (report.Progress is { } progress && progress.Phase == phase && progress.Step == step)
        {
            link.OrderStop("a test breaks it off", save);
        }
    };
}
