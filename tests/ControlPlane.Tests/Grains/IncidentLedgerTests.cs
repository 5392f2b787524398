using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Incidents;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

public sealed class IncidentLedgerTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_end_of_an_incident_is_told_though_the_next_one_began_before_the_ledger_heard_of_it()
    {
        await using var world = await World.Begin();
        bool away = true;
        world.BeforeIncident = incident =>
        {
            if (away && incident is { Number: 1, Open: false })
            {
                throw new IOException("the database does not answer");
            }
        };
        await world.Run("mini").Submit(TestPipelines.Of("mini", ("pretrain", 60)), Ct);
        await world.Until("mini", v => v.Stages[0] is { State: "running", Step: >= 7 });
        world.AgentOf("pretrain").KillRank();
        await world.Until("mini", v => v.Stages[0] is { State: "running", Attempt: 2, Step: >= 25 });
        world.AgentOf("pretrain").KillRank();
        await world.Until("mini", v => v.Stages[0] is { State: "running", Attempt: 3, Step: >= 40 });
        away = false;
        await world.Until("mini", v => v.Ended && world.Incidents.Count == 2
            && world.Incidents.Values.All(i => i.State == IncidentState.Closed));
        Assert.All([1, 2], number => Assert.Equal(number, world.Incidents[(new StageId("mini", "pretrain"), number)].Number));
    }
}
