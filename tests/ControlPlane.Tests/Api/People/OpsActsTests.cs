using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.People;
using Google.Protobuf;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People;

/// <summary>The one table of calls, beside the service itself.</summary>
public sealed class OpsActsTests
{
    /// <summary>What a call changes is told by its name: what only looks begins like this.</summary>
    private static readonly string[] Looks = ["Get", "List", "Watch", "Check", "Forecast", "Foresee", "Clone", "Score", "Verify"];

    [Fact]
    public void Every_call_of_the_service_is_in_it_and_nothing_else() =>
        Assert.Equal(OpsService.Descriptor.Methods.Select(m => m.Name).Order(StringComparer.Ordinal),
            OpsActs.All.Keys.Order(StringComparer.Ordinal));

    [Fact]
    public void Whatever_does_not_only_look_leaves_a_line() =>
        Assert.All(OpsActs.All, act => Assert.Equal(
            Looks.Any(look => act.Key.StartsWith(look, StringComparison.Ordinal)), act.Value.Told == Told.Never));

    [Fact]
    public void Each_reads_its_own_request() =>
        Assert.All(OpsService.Descriptor.Methods, method => Assert.NotNull(
            OpsActs.All[method.Name].Of((IMessage)Activator.CreateInstance(method.InputType.ClrType)!)));
}
