using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>
/// The one forecast, on a DeepSeek-V3 whose every step is drawn: the plan's time for its batch, with the noise of a real run.
/// </summary>
public sealed class StageOutlookTests
{
    private static readonly StageRecipe.Pretraining Recipe = new()
    {
        Tokens = 14_800_000_000_000, SequenceLength = 4096,
        BatchSize = new BatchRamp { From = 3072, To = 15360, OverTokens = 469_000_000_000, Micro = 128 },
    };

    private static readonly PipelineSpec V3 = new()
    {
        Name = "v3", Precision = Precision.Fp8, Optimizer = new AdamW { Bf16Moments = true },
        Parallelism = new ParallelLayout { Pipeline = 16, Expert = 64, Zero = 1, Schedule = PipelineSchedule.DualPipe },
        Resources = new ResourceSpec { Nodes = 256, RanksPerNode = 8, Gpu = "h800" },
        Checkpoints = new CheckpointPolicy { EverySteps = 15 },
        Stages =
        [
            new StageSpec { Name = "pretrain", Recipe = Recipe },
            new StageSpec
            {
                Name = "extend",
                Recipe = new StageRecipe.ContextExtension
                {
                    Phases =
                    [
                        new ContextPhase { Name = "32K", SequenceLength = 32768, Steps = 1000, BatchSize = 1920, ContextParallel = 8 },
                        new ContextPhase { Name = "128K", SequenceLength = 131072, Steps = 1000, BatchSize = 480, ContextParallel = 32 },
                    ],
                },
            },
            new StageSpec
            {
                Name = "rl",
                Recipe = new StageRecipe.ReinforcementLearning { Steps = 400, Questions = 32, GroupSize = 16, MaxNewTokens = 16384 },
            },
        ],
    };

    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly GangGrant Gang = new(new StageId("v3", "pretrain"), 1, [new NodeId("node-0")], 8, Began);

    private static readonly PipelineForecast Plan = PipelineForecast.Of(V3);

    [Theory]
    [InlineData(1.0), InlineData(1.25)]
    public void At_1_2_5_and_20_percent_the_forecast_is_within_10_percent_of_plan_and_truth(double slower)
    {
        var walk = Walk(seed: 7, slower);
        double truth = walk[^1].At.TotalSeconds, plan = Plan.Stages[0].Duration!.Value.TotalSeconds;
        foreach (double share in (double[])[0.01, 0.02, 0.05, 0.2])
        {
            int at = (int)(walk.Count * share);
            double total = walk[at - 1].At.TotalSeconds + Outlook(walk, at).Likely.TotalSeconds;
            Assert.InRange(total / truth, 0.9, 1.1);
            Assert.InRange(total / (plan * slower), 0.9, 1.1);
        }
    }

    [Fact]
    public void The_band_holds_the_truth_of_the_stage_and_narrows()
    {
        var walk = Walk(seed: 3, 1);
        var (early, late) = (Outlook(walk, walk.Count / 100), Outlook(walk, walk.Count * 9 / 10));
        double left = (walk[^1].At - walk[(walk.Count / 100) - 1].At).TotalSeconds;
        Assert.InRange(left, early.Low.TotalSeconds, early.High.TotalSeconds);
        Assert.True(late.High - late.Low < early.High - early.Low);
    }

    [Fact]
    public void One_raw_step_and_the_first_step_after_a_kill_move_nothing()
    {
        var walk = Walk(seed: 5, 1);
        int at = walk.Count / 50;
        var before = Outlook(walk, at);
        var slow = walk[at] with { Time = walk[at].Time with { Seconds = walk[at].Time.Seconds * 10 } };
        var after = Outlook([.. walk.Take(at), slow], at + 1);
        Assert.InRange(after.Likely / before.Likely, 0.99, 1.01);

        // Killed, and begun again 14 steps back by another attempt, whose first step took three times as long.
        var again = walk[at - 14] with { Time = walk[at - 14].Time with { Seconds = walk[at - 14].Time.Seconds * 3 } };
        var restarted = Outlook([.. walk.Take(at), again], at + 1, step: at - 13, attempt: 2);
        Assert.InRange(restarted.Likely / before.Likely, 0.99, 1.01);
    }

    [Fact]
    public void A_control_plane_that_just_began_says_how_little_it_knows()
    {
        var walk = Walk(seed: 5, 1);
        int at = walk.Count / 10;
        var one = StageOutlook.Of(StageAt(walk[at - 1], at, 1), Seen([]))!;
        Assert.Equal(1, one.StepsMeasured);
        Assert.True(one.High > one.Likely * 1.4);
        Assert.True(one.Low < one.Likely * 0.6);
    }

    [Fact]
    public void The_run_s_forecast_adds_up_all_stages_and_scales_the_plan_by_what_is_measured()
    {
        var walk = Walk(seed: 9, 1.2);
        int at = walk.Count / 100;
        var stage = StageAt(walk[at - 1], at, 1);
        var report = StageViews.Report(stage, "trains", Seen([.. walk.Take(at).Select(w => w.Time).TakeLast(64)]));
        var run = RunCommands.Begin(new RunSubmission("v3", V3, ""), Began);
        run = run with { Stages = run.Stages.SetItem(0, run.Stages[0] with { Round = 1 }), Phase = new RunPhase.Running() };
        var view = RunCommands.View(run, [report, null, null], "trains", true, Began);

        double planned = Plan.Days!.Value * 1.2, total = (walk[at - 1].At + view.Forecast!.Left).TotalDays;
        Assert.InRange(total / planned, 0.9, 1.1);
        Assert.True(view.Forecast.Low < view.Forecast.Left && view.Forecast.Left < view.Forecast.High);
        Assert.Equal("pretrain by the median of its last 32 steps (20 % slower than planned); extend, rl by the plan and that pace",
            view.Forecast.Basis);
        Assert.All(view.Stages, s => Assert.NotNull(s.Remaining));
        Assert.Equal(view.Forecast.Left.TotalSeconds, view.Stages.Sum(s => s.Remaining!.Value.TotalSeconds), 1.0);

        Assert.Null(
            RunCommands.View(run with { Intent = Intent.Pause, Phase = new RunPhase.Pausing() }, [report, null, null], "", true,
                Began).Forecast);
    }

    [Fact]
    public void A_gang_of_fewer_nodes_is_forecast_at_its_own_pace_until_its_nodes_should_be_back()
    {
        var walk = Walk(seed: 4, 1);
        int at = walk.Count / 10;
        ImmutableArray<StepTime> before = [.. walk.Take(at).Select(w => w.Time with { Attempt = 1 }).TakeLast(32)];
        var whole = StageOutlook.Of(StageAt(walk[at - 1], at, 1), Seen(before))!;
        var half = new ShrunkLayout(128, 256, ShrinkWay.FewerReplicas, 64, 1, 2, 0.5, ByPlan: true);
        var shrunk = StageAt(walk[at - 1], at, 2) with
        {
            LayoutFrom = 2,
            Shrunk = new ShrunkGang(half, Began, TimeSpan.FromDays(2), "the plan's time for a repair"),
        };
        // Before it has made a step the plan's pace stands for it; then its own steps do, and no others.
        var since = before.AddRange(before.Select(t => t with { Attempt = 2, Seconds = 2 * t.Seconds }));
        foreach (var times in new[] { before, since })
        {
            var outlook = StageOutlook.Of(shrunk, Seen(times))!;
            // Two days at half the pace are worth one.
            Assert.Equal(1, (outlook.Likely - whole.Likely).TotalDays, 0.001);
            Assert.Equal(2 * whole.Likely.TotalDays, StageOutlook.AsItIs(shrunk, Seen(times))!.Value.TotalDays, 0.001);
            Assert.Equal(whole.Scale!.Value, outlook.Scale!.Value, 1e-6);
        }
    }

    [Fact]
    public void A_run_that_waits_ends_by_the_plan_after_its_start()
    {
        var run = RunCommands.Begin(new RunSubmission("v3", V3, ""), Began);
        var view = RunCommands.View(run, [null, null, null], "waits", true, Began);
        Assert.InRange(view.Forecast!.Left.TotalDays / Plan.Days!.Value, 1, 1.1);
        Assert.Equal("pretrain, extend, rl by the plan", view.Forecast.Basis);

        var unknown = new PlacementDecision.Pending("first in the queue", [], null, []);
        var report = new StageReport(Gang.Stage, 1, new Phase.Waiting(), "", null, [],
            StageViews.NotBegun(run.Stages[0].Work) with { State = "queued", Pending = unknown });
        run = run with { Stages = run.Stages.SetItem(0, run.Stages[0] with { Round = 1 }) };
        Assert.Null(RunCommands.View(run, [report, null, null], "waits", true, Began).Forecast);
        var known = unknown with { Eta = new StartEstimate(Began, Began.AddDays(10), Began.AddDays(20), "") };
        var soon = RunCommands.View(run, [report with { View = report.View with { Pending = known } }, null, null], "waits", true, Began);
        Assert.Equal(10, (soon.Forecast!.Left - view.Forecast.Left).TotalDays, 0.01);

        // What stands under a person's hold ends as much later as the hold still lasts, and nobody can tell when that has no end.
        RunForecast? Held(DateTimeOffset? until) => RunCommands.View(run, [report with
        {
            View = StageViews.NotBegun(run.Stages[0].Work) with
            {
                State = "running", Stands = new PersonsHold("ann", "", Began) { Until = until },
            },
        }, null, null], "held", true, Began).Forecast;
        Assert.Equal(2, (Held(Began.AddDays(2))!.Left - view.Forecast.Left).TotalDays, 0.01);
        Assert.StartsWith("held by ann since", Held(Began.AddDays(2))!.Basis, StringComparison.Ordinal);
        Assert.Null(Held(until: null));
    }

    [Fact]
    public void Without_a_known_gpu_nothing_is_said_before_a_step_was_made_and_then_operations_are_timed()
    {
        var laptop = V3 with { Name = "laptop", Resources = new ResourceSpec() };
        Assert.Null(StageOutlook.ByPlan(laptop, "extend", null));
        var course = StageCourse.Of(laptop, "pretrain")!;
        Assert.False(course.InSeconds);
        Assert.Equal(course.Whole, course.After(0, 0), course.Whole * 1e-4);
        Assert.Equal(5.0, course.StepAt(200_000, Recipe.BatchSize.OverTokens) / course.StepAt(1, 0), 0.01);
    }

    [Fact]
    public void What_is_behind_and_what_is_ahead_add_up_to_the_whole_stage()
    {
        foreach (string name in (string[])["pretrain", "extend", "rl"])
        {
            var course = StageCourse.Of(V3, name)!;
            Assert.Equal(Plan.Stages.Single(s => s.Name == name).Duration!.Value.TotalSeconds, course.After(0, 0), course.Whole * 0.01);
            Assert.Equal(0, course.After(course.Steps, V3.Stage(name).Recipe.Length().Tokens), 1e-6);
        }
    }

    private static StageOutlook Outlook(IReadOnlyList<Walked> walk, int at, long? step = null, int attempt = 1) =>
        StageOutlook.Of(StageAt(walk[at - 1], step ?? at, attempt), Seen([.. walk.Take(at).Select(w => w.Time).TakeLast(64)]))!;

    private static Stage StageAt(Walked last, long step, int attempt)
    {
        var work = RunCommands.Begin(new RunSubmission("v3", V3, ""), Began).Stages[0].Work;
        var wish = new StageWish(Gang.Stage, 1, Intent.Train, "", work, V3, null, null, null);
        return Stage.New(wish) with
        {
            Attempt = attempt,
            Phase = new Phase.Running(Gang, Began, null),
            StartedAt = Began,
            Latest = new StepSample(step, Began, "", 2, 1, 1, last.Time.Tokens, last.Time.Seconds, attempt,
                ImmutableDictionary<string, double>.Empty),
        };
    }

    private static Observation Seen(ImmutableArray<StepTime> times) =>
        new(null, [], News.None, null, Instant.OfOneClock(Began), Instant.OfOneClock(Began)) { Times = times };

    private static List<Walked> Walk(int seed, double slower)
    {
        var (random, full) = (new Random(seed), Plan.Stages[0].LastStep!);
        var (walk, tokens, at) = (new List<Walked>(), 0L, 0.0);
        for (long step = 1; tokens < Recipe.Tokens; step++)
        {
            int batch = Recipe.BatchSize.At(tokens);
            double seconds = slower * ((full.BusySeconds * batch / Recipe.BatchSize.To) + full.BubbleSeconds + full.OptimizerSeconds)
                * StepNoise.Measured.Draw(random);
            (tokens, at) = (tokens + ((long)batch * Recipe.SequenceLength), at + seconds);
            walk.Add(new Walked(new StepTime(step, tokens, seconds), TimeSpan.FromSeconds(at)));
        }

        return walk;
    }

    private sealed record Walked(StepTime Time, TimeSpan At);
}
