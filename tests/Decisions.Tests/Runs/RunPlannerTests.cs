using CsCheck;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Runs;

public sealed class RunPlannerTests
{
    [Fact]
    public void The_chart_has_exactly_the_transitions_that_runs_make()
    {
        var (chart, made) = (StateChart.Edges("Run").ToArray(), new SortedSet<string>(StringComparer.Ordinal));
        // At least so many hunt for a transition that the chart lacks; its rarest one may need all of them.
        for (int seed = 0; seed < 2000 && (seed < Lives.Of(500) || !made.IsSupersetOf(chart)); seed++)
        {
            Live(seed, (before, world) =>
            {
                if (before.Phase.GetType() != world.Run.Phase.GetType())
                {
                    made.Add($"{before.Phase.GetType().Name} -> {world.Run.Phase.GetType().Name}");
                }
            });
        }

        Assert.Equal(string.Join("\n", chart), string.Join("\n", made));
    }

    [Fact]
    public void A_stage_begins_only_with_the_final_checkpoint_of_the_one_before() => Gen.Int.Sample(seed => Live(seed, (_, world) =>
    {
        foreach (var wish in world.Trained.Where(w => w.Stage.Stage != "pretrain"))
        {
            string before = wish.Stage.Stage == "rl" ? "sft" : "pretrain";
            Assert.Equal(before, wish.BeginFrom?.Stage);
        }
    }), iter: Lives.Of(300));

    [Fact]
    public void The_first_stage_begins_with_what_was_published_after_a_retry_too() => Gen.Int.Sample(seed => Live(seed, (_, world) =>
    {
        foreach (var wish in world.Trained.Where(w => w.Stage.Stage == "pretrain"))
        {
            Assert.True(wish.BeginFrom!.Published);
            Assert.Equal("/models/v3 (sha256 0123456789ab)", wish.BeginFrom.Lineage);
        }
    }), iter: Lives.Of(300));

    [Fact]
    public void An_ended_run_stays_ended_until_a_person_retries_it() => Gen.Int.Sample(seed => Live(seed, (before, world) =>
    {
        if (before.Phase.Terminal && world.Run.Round == before.Round)
        {
            Assert.Equal(before.Phase, world.Run.Phase);
        }
    }), iter: Lives.Of(300));

    [Fact]
    public void Every_run_comes_to_an_end_when_people_say_go() => Gen.Int.Sample(seed =>
    {
        var world = Live(seed, (_, _) => { });
        for (int i = 0; i < 500 && !world.Run.Phase.Terminal; i++)
        {
            world.Command(1);
            world.Tick();
        }

        Assert.True(world.Run.Phase.Terminal, $"still {world.Run.Phase}: {world.Run.Reason}");
    }, iter: Lives.Of(300));

    [Fact]
    public void No_stage_hears_of_what_a_crash_could_forget() =>
        Gen.Int.Sample(seed => Live(seed, (_, world) => Assert.Empty(world.Unwritten)), iter: Lives.Of(300));

    [Theory]
    [InlineData(1, "its only stage completed, ")]
    [InlineData(2, "both stages completed, ")]
    [InlineData(3, "all 3 stages completed, ")]
    public void A_run_that_is_done_counts_its_stages_as_people_do(int stages, string words)
    {
        var run = new RunWorld(new Random(1)).Run;
        var done = run with { Stages = run.Stages[..stages], Current = stages };
        var decision = RunPlanner.Decide(done, [.. new StageReport?[stages]], run.SubmittedAt + TimeSpan.FromSeconds(90));
        Assert.IsType<RunPhase.Completed>(decision.Next.Phase);
        Assert.Equal(words + "90 s after the submission", decision.Reason);
    }

    /// <summary>A pause or a failure is a moment: what lay before it is no time that it took.</summary>
    [Fact]
    public void Only_the_end_of_all_stages_took_time() => Gen.Int.Sample(seed => Live(seed, (_, world) =>
        Assert.All(world.Run.Outbox.Where(e => e.Kind != "completed"), e => Assert.Null(e.Took))), iter: 100);

    [Fact]
    public void A_gate_that_asks_for_a_person_pauses_the_run_until_it_is_resumed()
    {
        var world = new RunWorld(new Random(3));
        for (int i = 0; i < 100 && !world.Run.Phase.Terminal && world.Run.Phase is not RunPhase.Paused; i++)
        {
            world.Tick();
        }

        Assert.IsType<RunPhase.Paused>(world.Run.Phase);
        Assert.Contains("waits for approval; run `dsops resume", world.Run.Reason, StringComparison.Ordinal);
        world.Command(1);
        world.Tick();
        world.Tick();
        Assert.Equal("rl", world.Run.Stages[world.Run.Current].Work.Name);
        Assert.True(world.Run.Stages[world.Run.Current].Round > 0);
    }

    private static RunWorld Live(int seed, Action<Run, RunWorld> look)
    {
        var random = new Random(seed);
        var world = new RunWorld(random, crashes: seed % 2 == 0 ? 0 : 0.05);
        for (int i = 0; i < 60; i++)
        {
            var before = world.Run;
            if (random.Next(6) == 0)
            {
                world.Command(random.Next(4));
            }
            else
            {
                world.Tick();
            }

            look(before, world);
        }

        return world;
    }
}
