using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.Decisions.People;
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

    /// <summary>A call that reaches a run names it in its request, or nobody could ask whose it is.</summary>
    [Fact]
    public void Whatever_reaches_a_run_names_it()
    {
        foreach (var method in OpsService.Descriptor.Methods)
        {
            var act = OpsActs.All[method.Name];
            var request = (IMessage)Activator.CreateInstance(method.InputType.ClrType)!;
            foreach (var field in method.InputType.Fields.InDeclarationOrder().Where(f => f.Name is "run" or "name"))
            {
                field.Accessor.SetValue(request, "mini");
            }

            bool reaches = act.Need.Reach is Reach.Run || (act.Need.Reach is Reach.RunOrList or Reach.RunOrEveryTeam
                && method.InputType.FindFieldByName("run") is not null);
            Assert.True(!reaches || OpsActs.RunOf(request, act) == "mini", method.Name);
        }
    }

    [Fact]
    public void The_table_of_docs_security_is_the_table_that_is_asked()
    {
        string[] rows =
        [
            .. OpsActs.All.GroupBy(a => a.Value.Need).OrderBy(g => g.Key.Role).ThenBy(g => g.Key.Reach).Select(group =>
                $"| {Rights.Name(group.Key.Role)} {InWords(group.Key.Reach)} | "
                + $"{string.Join(", ", group.Select(a => $"`{a.Key}`").Order(StringComparer.Ordinal))} |"),
        ];
        string document = File.ReadAllText(Path.Combine(Pipelines.Examples.Root, "docs", "security.md"));
        Assert.True(rows.All(row => document.Contains($"{row}\n", StringComparison.Ordinal)), string.Join('\n', rows));
    }

    private static string InWords(Reach reach) => reach switch
    {
        Reach.Any => "of any team",
        Reach.Run => "of the run's team",
        Reach.RunOrList => "of the run's team; a list has the caller's team alone",
        Reach.RunOrEveryTeam => "of the run's team, of every team where no run is named",
        Reach.EveryTeam => "of every team",
        _ => "of the team that the request names",
    };
}
