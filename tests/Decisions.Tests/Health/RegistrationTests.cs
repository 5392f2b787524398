using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

public sealed class RegistrationTests
{
    [Fact]
    public void An_agent_that_registers_again_after_hours_of_training_is_not_taken_for_silent()
    {
        var running = new RunningStage();
        var late = running.After(TimeSpan.FromHours(3));
        var registration = new AgentRegistration("", running.Node, running.Vitals.Agents[0].AgentId, 1, running.Stage.Id,
            running.Stage.Attempt, []);
        var vitals = running.Vitals.Take(registration, late);
        Assert.IsType<Phase.Running>(
            StagePlanner.Decide(running.Stage, vitals.Observe(running.Stage.Watched, running.Cluster, late), late.At).Next.Phase);
    }
}
