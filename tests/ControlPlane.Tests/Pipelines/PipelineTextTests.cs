using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class PipelineTextTests
{
    [Theory]
    [InlineData("mini")]
    [InlineData("deepseek-v3")]
    public void An_example_has_no_problem_and_survives_being_written_again(string name)
    {
        var parsed = PipelineText.Parse(Examples.Read(name));
        Assert.Empty(parsed.Problems.Select(p => p.ToString()));
        var again = PipelineText.Parse(PipelineText.ToYaml(parsed.Spec!));
        Assert.Empty(again.Problems.Select(p => p.ToString()));
        Assert.Equal(JsonSerializer.Serialize(parsed.Spec), JsonSerializer.Serialize(again.Spec));
        Assert.Empty(PipelineDiff.Between(parsed.Spec!, again.Spec!));
    }

    [Theory]
    [InlineData("mini")]
    [InlineData("deepseek-v3")]
    public void The_record_survives_json_as_grain_state_and_column_hold_it(string name)
    {
        string json = JsonSerializer.Serialize(PipelineText.Parse(Examples.Read(name)).Spec);
        Assert.Equal(json, JsonSerializer.Serialize(JsonSerializer.Deserialize<PipelineSpec>(json)));
        Assert.Empty(PipelineDiff.Between(PipelineText.Parse(Examples.Read(name)).Spec!, JsonSerializer.Deserialize<PipelineSpec>(json)!));
    }

    [Fact]
    public void A_key_that_was_renamed_is_still_read_and_written_by_its_new_name()
    {
        string With(string keys) => Examples.Mini.Replace("\nrecovery:\n", $"\nrecovery:\n{keys}", StringComparison.Ordinal);
        var parsed = PipelineText.Parse(With("  hangUnlearnt: 12m\n"));
        Assert.Empty(parsed.Problems.Select(p => p.ToString()));
        Assert.Equal(TimeSpan.FromMinutes(12), parsed.Spec!.Recovery.HangLimitBeforeFirstStep);
        Assert.Contains("hangLimitBeforeFirstStep: 12m", PipelineText.ToYaml(parsed.Spec), StringComparison.Ordinal);
        Assert.DoesNotContain("hangUnlearnt", PipelineText.ToYaml(parsed.Spec), StringComparison.Ordinal);
        var both = PipelineText.Parse(With("  hangUnlearnt: 12m\n  hangLimitBeforeFirstStep: 13m\n"));
        Assert.Contains("'hangUnlearnt' and 'hangLimitBeforeFirstStep' are one key", Assert.Single(both.Problems).ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Mini_says_what_a_person_meant()
    {
        var spec = PipelineText.Parse(Examples.Mini).Spec!;
        Assert.Equal(ModelShape.Mini with { InitStd = 0.06 }, spec.Model);
        Assert.Equal(["pretraining", "context-extension", "sft", "rl", "distillation"], spec.Stages.Select(s => s.Kind));
        var pretrain = Assert.IsType<StageRecipe.Pretraining>(spec.Stages[0].Recipe);
        Assert.Equal(TimeSpan.FromHours(1), spec.Recovery.Window);
        Assert.Equal(LearningRate.Constant(1e-3).Pieces[0].Shape, pretrain.LearningRate.Pieces[1].Shape);
        Assert.Equal(ModelShape.MiniStudent, Assert.IsType<StageRecipe.Distillation>(spec.Stages[4].Recipe).Student);
    }

    [Fact]
    public void V3_has_the_steps_of_the_report()
    {
        var spec = PipelineText.Parse(Examples.Read("deepseek-v3")).Spec!;
        var length = spec.Stage("pretrain").Recipe.Length();
        Assert.InRange(length.Steps, 242_700, 243_000);
        Assert.InRange(length.Tokens, 14_800_000_000_000, 14_800_000_000_000 + (15360L * 4096));
        Assert.Equal(new StageLength(2000, 125_829_120_000), spec.Stage("extend").Recipe.Length());
    }

    [Fact]
    public void Json_is_read_as_well_as_yaml()
    {
        const string Json = """
            {
            	"apiVersion": "deepseekops/v1", "name": "j", "model": "mini",
            	"stages": [{"name": "p", "kind": "pretraining", "tokens": 65536, "sequenceLength": 64, "batchSize": 8, "learningRate": 0.001}]
            }
            """;
        var parsed = PipelineText.Parse(Json);
        Assert.Empty(parsed.Errors);
        Assert.Equal(65536, Assert.IsType<StageRecipe.Pretraining>(parsed.Spec!.Stages[0].Recipe).Tokens);
    }

    [Theory]
    [InlineData("14.8T", 14_800_000_000_000)]
    [InlineData("469B", 469_000_000_000)]
    [InlineData("600Ki", 614_400)]
    [InlineData("1.6M", 1_600_000)]
    [InlineData("65_536", 65_536)]
    [InlineData("1e6", 1_000_000)]
    [InlineData("0.5Gi", 536_870_912)]
    public void Counts_are_read_as_people_write_them(string written, long tokens)
    {
        var parsed = PipelineText.Parse(OneStage.Replace("tokens: 64Ki", $"tokens: {written}", StringComparison.Ordinal)
            .Replace("batchSize: 8", "batchSize: 5K", StringComparison.Ordinal));
        Assert.Equal(tokens, Assert.IsType<StageRecipe.Pretraining>(parsed.Spec!.Stages[0].Recipe).Tokens);
    }

    [Theory]
    [InlineData("5m", 300)]
    [InlineData("1h30m", 5400)]
    [InlineData("90s", 90)]
    [InlineData("1d", 86400)]
    [InlineData("2.5s", 2.5)]
    [InlineData("1500ms", 1.5)]
    public void Durations_are_read_as_people_write_them(string written, double seconds)
    {
        var parsed = PipelineText.Parse($"{OneStage}\nrecovery: {{window: {written}}}");
        Assert.Equal(TimeSpan.FromSeconds(seconds), parsed.Spec!.Recovery.Window);
    }

    [Fact]
    public void A_stage_says_only_how_it_differs()
    {
        var spec = PipelineText.Parse($$"""
            {{OneStage}}
                resources: {nodes: 4}
            resources: {nodes: 2, ranksPerNode: 2, device: cpu}
            """).Spec!;
        Assert.Equal((4, 2, "cpu"), (spec.ResourcesOf(spec.Stages[0]).Nodes, spec.ResourcesOf(spec.Stages[0]).RanksPerNode,
            spec.ResourcesOf(spec.Stages[0]).Device));
    }

    [Fact]
    public void Relative_data_paths_begin_at_the_files_own_folder()
    {
        var parsed =
            PipelineText.Parse($"{OneStage}\ndata: {{source: \"a.txt, ../b.jsonl\", tokenizer: t/tokenizer.json}}", "/data/pipelines");
        Assert.Equal("/data/pipelines/a.txt,/data/b.jsonl", parsed.Spec!.Data.Source);
        Assert.Equal("/data/pipelines/t/tokenizer.json", parsed.Spec.Data.Tokenizer);
    }

    [Fact]
    public void A_name_from_outside_takes_the_place_of_the_one_in_the_text_and_is_checked_like_it()
    {
        Assert.Equal("other", PipelineText.Parse(OneStage, name: "other").Spec!.Name);
        Assert.Equal("name", Assert.Single(PipelineText.Parse(OneStage, name: "No Name").Errors).Field);
    }

    [Fact]
    public void A_difference_is_told_field_by_field_and_stages_go_by_name()
    {
        var before = PipelineText.Parse(Examples.Mini).Spec!;
        var after = before with { Seed = 2, Stages = [.. before.Stages.Where(s => s.Name != "extend")] };
        var lines = PipelineDiff.Between(before, after);
        Assert.Contains("seed: 1 -> 2", lines);
        Assert.All(lines.Where(l => !l.StartsWith("seed", StringComparison.Ordinal)),
            l => Assert.StartsWith("stages[extend]", l, StringComparison.Ordinal));
        Assert.Empty(PipelineDiff.Between(before, before));
    }

    [Theory]
    [InlineData("deploy/examples/pipeline.schema.json")]
    [InlineData("docs/pipeline.md")]
    public void The_files_for_editors_and_readers_say_what_the_table_says(string path)
    {
        string text = path.EndsWith(".json", StringComparison.Ordinal) ? PipelineText.Schema() : PipelineText.Reference();
        string file = Path.Combine(Examples.Root, path);
        if (Environment.GetEnvironmentVariable("DSOPS_ACCEPT") == "1")
        {
            File.WriteAllText(file, text);
        }
        Assert.Equal(File.ReadAllText(file), text);
    }

    [Fact]
    public void The_schema_knows_every_key_of_every_kind_of_stage()
    {
        var stages = JsonNode.Parse(PipelineText.Schema())!["properties"]!["stages"]!["items"]!["anyOf"]!.AsArray();
        Assert.Equal(5, stages.Count);
        Assert.All(stages, s => Assert.False((bool)s!["additionalProperties"]!));
        Assert.NotNull(stages.Single(s => (string)s!["properties"]!["kind"]!["const"]! == "rl")!["properties"]!["groupSize"]);
    }

    internal const string OneStage = """
        apiVersion: deepseekops/v1
        name: one
        model: mini
        stages:
          - name: p
            kind: pretraining
            tokens: 64Ki
            sequenceLength: 64
            batchSize: 8
            learningRate: 1e-3
        """;
}
