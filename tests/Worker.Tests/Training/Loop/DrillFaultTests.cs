using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Training.Loop;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>What a rank does when a drill asks it to go wrong.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class DrillFaultTests : IDisposable
{
    private const long Asked = 3;

    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Fact]
    public void A_gradient_that_a_drill_makes_NaN_ends_the_launch_at_the_next_step_and_nothing_of_it_is_kept()
    {
        using var link = AskingAt(Asked, new RankFault { Number = new NumberFault() });
        var broken = Assert.Throws<NotFiniteException>(() => new RankProgram().Run(Launch(allowed: true), link, CancellationToken.None));
        Assert.Equal(("gradient norm", Asked + 1), (broken.Broke.What, broken.Broke.Step));
        Assert.Equal(Asked, link.Samples[^1].Step);
        Assert.Contains(link.Reports, r => r.Note?.Text.Contains("a drill", StringComparison.Ordinal) == true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Where_faults_are_not_allowed_a_rank_that_is_asked_trains_as_if_nobody_had(bool number)
    {
        var fault = number ? new RankFault { Number = new NumberFault() }
            : new RankFault { Rate = new RateFault { Factor = 30, Steps = 5 } };
        using var asked = AskingAt(Asked, fault);
        new RankProgram().Run(Launch(allowed: false), asked, CancellationToken.None);
        using var calm = MiniPlans.Train(Launch(allowed: false, run: "calm"));
        Assert.Equal(calm.Samples.Select(s => (s.Step, s.Loss, s.GradNorm, s.LearningRate)),
            asked.Samples.Select(s => (s.Step, s.Loss, s.GradNorm, s.LearningRate)));
    }

    private RankLaunch Launch(bool allowed, string run = "test")
    {
        var plan = _mini.Plan("pretrain", every: 1000);
        plan.Pretraining.Tokens /= 3;
        var launch = _mini.Launch(plan, "pretrain", run: run);
        launch.Assignment.AllowsFaults = allowed;
        return launch;
    }

    private static RecordingRankLink AskingAt(long step, RankFault fault)
    {
        var link = new RecordingRankLink();
        link.OnReport = report =>
        {
            if (report.Sample?.Step == step)
            {
                link.OrderFault(fault);
            }
        };
        return link;
    }
}
