using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Recipes;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

/// <summary>Where each kind of stage has to be known beside Decisions. A failure names the kind and the place.</summary>
public sealed class StageKindTests
{
    public static TheoryData<string> Kinds => [.. StageRecipe.Kinds.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_kind_has_a_message_on_the_wire_that_is_named_as_it_is(string kind)
    {
        var works = TrainingPlan.Descriptor.Oneofs.Single(o => o.Name == "work").Fields.ToDictionary(f => f.Name.Replace('_', '-'));
        Assert.True(works.ContainsKey(kind), $"training.proto: the oneof 'work' of TrainingPlan has no message for '{kind}'.");
        var spec = new PipelineSpec { Stages = [new StageSpec { Name = "s", Recipe = StageRecipe.Kinds[kind] }] };
        Assert.Equal(works[kind].FieldNumber, (int)TrainingPlans.ToProto(spec, "s").WorkCase);
        Assert.Equal(StageRecipe.Kinds.Count, works.Count);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_kind_has_a_notation_and_an_entry_in_the_schema_and_the_documents(string kind)
    {
        Assert.True(StageNotation.Tables.Any(t => t.Kind == kind), $"Pipelines/StageNotation.cs has no table for '{kind}'.");
        Assert.Equal(StageRecipe.Kinds.Count, StageNotation.Tables.Count() - 1);
        Assert.Contains($"## stages: {kind}\n", Document("docs/pipeline.md"), StringComparison.Ordinal);
        Assert.Contains($"\"const\": \"{kind}\"", Document("deploy/examples/pipeline.schema.json"), StringComparison.Ordinal);
        var first = Document("docs/measures.md").Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal))
            .SelectMany(line => line.Split('|')[1].Split(','));
        Assert.True(first.Any(word => word.Trim() == kind.Replace('-', ' ')), $"docs/measures.md does not say what '{kind}' measures.");
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Some_example_has_a_stage_of_each_kind(string kind) => Assert.Contains(
        Directory.EnumerateFiles(Path.Combine(Examples.Root, "deploy", "examples"), "*.yaml"),
        file => File.ReadAllText(file).Contains($"kind: {kind}", StringComparison.Ordinal));

    private static string Document(string path) => File.ReadAllText(Path.Combine(Examples.Root, path));
}
