using System.Text.RegularExpressions;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Dashboard.Pages.RunDetail;
using DeepSeekOps.Dashboard.Words;

namespace DeepSeekOps.Dashboard.Tests;

public sealed partial class StageKindTests
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

    /// <summary>That each kind has its lines in docs/measures.md, a test of ControlPlane.Tests asks.</summary>
    [Fact]
    public void Whatever_the_documents_say_that_a_stage_measures_has_a_title_of_its_own_among_the_results()
    {
        string[] measures = [.. Document("docs/measures.md").Split('\n')
            .Where(line => line.StartsWith('|')).SelectMany(line => Measure().Matches(line.Split('|')[2])).Select(m => m.Groups[1].Value)];
        Assert.True(measures.Length > 12, "docs/measures.md names what is measured in the second column of its first table");
        var stage = new Stage { Name = "stage" };
        stage.Evaluations.Add(measures.Select(name => new Evaluation { Name = name, Value = 0.5, Samples = 10 }));
        var untitled = Results.Of(new Run { Stages = { stage } }).Where(group => group.Title == "Held-out measures");
        Assert.Empty(untitled.SelectMany(group => group.Rows).Select(row => $"{row.Evaluation.Name}: Results.cs has no title for it"));
    }

    private static string Document(string path)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, path)))
        {
            folder = folder.Parent;
        }

        return File.ReadAllText(Path.Combine(folder?.FullName ?? throw new FileNotFoundException(path), path));
    }

    [GeneratedRegex("`([a-z]\\w+)`")]
    private static partial Regex Measure();
}
