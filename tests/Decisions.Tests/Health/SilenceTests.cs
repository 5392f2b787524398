using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

public sealed class SilenceTests
{
    private readonly RunningStage running = new();

    [Fact]
    public void A_rank_without_a_step_is_told_after_ten_seconds_with_the_limit()
    {
        running.Hear(running.Rank(running.Stage) with { SinceProgress = TimeSpan.FromSeconds(9) });
        Assert.Null(Silence.Of(running.Stage, running.Observe(running.Now)));
        running.Hear(running.Rank(running.Stage) with { SinceProgress = TimeSpan.FromSeconds(23) });
        var decision = running.Decide(running.Now);
        Assert.Contains("; no step for 23 s (a hang at 60 s)", decision.Reason, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromSeconds(23), Silence.Of(running.Stage, running.Observe(running.Now))!.For);
        Assert.Same(decision.Next.Phase, running.Stage.Phase);
    }

    [Fact]
    public void An_agent_that_says_nothing_is_told_after_ten_seconds_with_the_limit() =>
        Assert.Contains($"no word from the agent on {running.Node} for 12 s (given up at 10 min)",
            running.Decide(running.After(TimeSpan.FromSeconds(12))).Reason, StringComparison.Ordinal);

    [Fact]
    public void A_stopped_process_is_told_at_once_with_what_wakes_it()
    {
        var agent = Silence.Of(running.Stage, running.Observe(running.Now, running.With(running.Pod with { Halted = true })))!;
        Assert.Contains("is stopped, by SIGSTOP or a debugger: `kill -CONT 42` wakes it (given up at 10 min)", agent.Words,
            StringComparison.Ordinal);
        running.Hear(running.Rank(running.Stage) with { Halted = true });
        Assert.Contains("`kill -CONT 7` wakes it (a hang at 60 s)", Silence.Of(running.Stage, running.Observe(running.Now))!.Words,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Where_steps_take_long_a_step_of_the_usual_length_is_no_silence()
    {
        running.Hear(running.Rank(running.Stage) with { SinceProgress = TimeSpan.FromSeconds(40) });
        var slow = running.Observe(running.Now) with { LongestStepSeconds = 45 };
        Assert.Null(Silence.Of(running.Stage, slow));
        Assert.NotNull(Silence.Of(running.Stage, slow with { LongestStepSeconds = 20 }));
    }
}
