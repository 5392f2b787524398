using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Dashboard.Words;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class StageKindTests
{
    /// <summary>The wire's message of a kind is named as the kind is.</summary>
    public static TheoryData<string> OnTheWire =>
        [.. TrainingPlan.Descriptor.Oneofs.Single(o => o.Name == "work").Fields.Select(f => f.Name.Replace('_', '-'))];

    [Theory]
    [MemberData(nameof(OnTheWire))]
    public void Every_kind_of_stage_has_a_name_and_charts_of_its_own(string kind)
    {
        Assert.True(StageKind.All.ContainsKey(kind), $"Dashboard/Words/StageKind.cs has no entry for '{kind}'.");
        Assert.NotEqual(kind, StageKind.Of(kind).Word);
        Assert.NotEmpty(StageKind.Of(kind).Usual);
    }

    [Fact]
    public void The_pages_know_no_kind_that_the_wire_does_not() =>
        Assert.Equal(OnTheWire.Select(row => row.Data).Order(StringComparer.Ordinal), StageKind.All.Keys);
}
