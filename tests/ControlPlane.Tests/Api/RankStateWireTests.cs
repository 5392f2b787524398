using DeepSeekOps.ControlPlane.Api;
using Xunit;
using Proto = DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.ControlPlane.Tests.Api;

public sealed class RankStateWireTests
{
    public static TheoryData<Proto.RankState> Told => [.. Enum.GetValues<Proto.RankState>().Where(s => s != Proto.RankState.Unspecified)];

    /// <summary>What is new on the wire would else be taken for a rank of which nothing is known.</summary>
    [Theory]
    [MemberData(nameof(Told))]
    public void Each_state_that_a_rank_can_tell_is_one_in_memory(Proto.RankState state) =>
        Assert.Equal($"{state}", $"{new Proto.RankStatus { State = state }.ToRecord().State}");

    [Fact]
    public void A_state_that_only_a_newer_agent_knows_is_one_of_which_nothing_is_known() =>
        Assert.Equal("Unknown", $"{new Proto.RankStatus { State = (Proto.RankState)99 }.ToRecord().State}");
}
