using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Spikes;
using DeepSeekOps.Decisions.Tests.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

public sealed class LossWatchTests
{
    private static readonly RunningStage Running = new();
    private static readonly WatchedStage Stage = Running.Stage.Watched;

    [Fact]
    public void A_rise_is_told_at_its_step_and_once_it_stays_up_what_a_person_would_do_about_it()
    {
        var found = Watch(new LossWatch([], 0), Losses(from: 301, count: 60, by: 1));
        Assert.Equal([(301, "loss-flagged"), (301, "loss-diverged")], found.Select(f => ((int)f.Step, f.Kind)));
        Assert.Equal([EventLevel.Info, EventLevel.Warning], found.Select(f => f.Level));
        Assert.Equal((301, 296, 321), ((int)found[1].Verdict!.FlaggedAt, (int)found[1].Verdict!.Begins, (int)found[1].Verdict!.Step));
    }

    [Fact]
    public void One_batchs_outlier_is_judged_and_asks_nobody_for_anything()
    {
        var found = Watch(new LossWatch([], 0), Losses(from: 301, count: 1, by: 1));
        Assert.Equal(["loss-flagged", "loss-judged"], found.Select(f => f.Kind));
        Assert.Contains("one batch's own", found[1].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Samples_that_an_agent_tells_again_are_watched_once()
    {
        var samples = Losses(from: 301, count: 60, by: 1);
        var once = Watch(new LossWatch([], 0), samples);
        var watch = new LossWatch([], 0);
        // Each beat tells the last ten again, as where none was acknowledged.
        var again = samples.Select((_, i) => samples[Math.Max(0, i - 9)..(i + 1)]).SelectMany(beat => watch.Take(beat, Stage));
        Assert.Equal(once, again);
    }

    [Fact]
    public void Steps_that_a_later_attempt_trains_again_are_no_rise()
    {
        var samples = Losses(from: 0, count: 0, by: 0);
        var next = Stage with { Attempt = Stage.Attempt + 1 };
        var watch = new LossWatch([], 0);
        Assert.Empty(watch.Take(samples, Stage));
        Assert.Empty(watch.Take(
            [.. samples[250..].Select(s => s with { Attempt = next.Attempt, At = s.At + TimeSpan.FromHours(1) })], next));
        // What an older attempt still tells is passed over.
        Assert.Empty(watch.Take([samples[^1] with { Loss = 100 }], next));
    }

    [Fact]
    public void A_number_that_is_not_finite_is_left_to_whoever_acts_on_it() => Assert.Empty(Watch(new LossWatch([], 0),
        [.. Losses(from: 0, count: 0, by: 0)[..100].Select(s => s.Step == 100 ? s with { Loss = double.NaN } : s)]));

    [Fact]
    public void What_is_found_is_on_the_timeline_once_and_the_stage_trains_on()
    {
        var found = Watch(new LossWatch([], 0), Losses(from: 301, count: 60, by: 1));
        var told = Running.Vitals.Found(found).Found(found);
        var decision = StagePlanner.Decide(Running.Stage, told.Observe(Stage, Running.Cluster, Running.Now), Running.Now.At);
        Assert.IsType<Phase.Running>(decision.Next.Phase);
        Assert.Equal(["loss-flagged", "loss-diverged"], decision.Next.Outbox.Select(e => e.Kind));
        Assert.All(decision.Next.Outbox, e => Assert.Equal(301, e.Step));
        Assert.Contains($"--from {Stage.Checkpoints.Max(c => c.Made.Step)}", decision.Next.Outbox[1].Text, StringComparison.Ordinal);
        // What may be needed is not deleted meanwhile.
        Assert.Equal([Stage.Checkpoints.Max(c => c.Made.Step)], CheckpointChoice.Pinned(decision.Next.Checkpoints));
        Assert.Empty(told.Written(told.News, decision.Next.Watched, Running.Now).News.Losses);
    }

    private static ImmutableArray<LossFinding> Watch(LossWatch watch, ImmutableArray<StepSample> samples) => watch.Take(samples, Stage);

    private static ImmutableArray<StepSample> Losses(int from, int count, double by) =>
        [.. Courses.Healthy(400, seed: 3).Select(s => new StepSample(
            s.Step, StageWorld.Epoch.AddSeconds(s.Step), "4096", s.Loss + (s.Step >= from && s.Step < from + count ? by : 0), 1, 1e-3,
            s.Step, 1, Stage.Attempt, ImmutableDictionary<string, double>.Empty))];
}
