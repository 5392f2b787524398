using CsCheck;
using DeepSeekOps.ControlPlane.Pipelines;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

/// <summary>
/// In .NET $ matches before a last line feed too: a value must not end in one and still be taken for what stands before it.
/// </summary>
public sealed class LineFeedTests
{
    [Theory]
    [InlineData("name: mini", "name: \"mini\\n\"", "name")]
    [InlineData("name: mini", "name: |\n  mini", "name")]
    [InlineData("- name: pretrain", "- name: \"pretrain\\n\"", "stages[0].name")]
    [InlineData("model: mini", "model: mini\nteam: \"a\\n\"", "team")]
    [InlineData("model: mini", "model: mini\nresources: {group: \"a\\n\"}", "resources.group")]
    [InlineData("model: mini", "model: mini\ndata: {source: \"/a.txt\\n\"}", "data.source")]
    [InlineData("model: mini", "model: mini\nrecovery: {window: \"6h\\n\"}", "recovery.window")]
    [InlineData("model: mini", "model: mini\nseed: \"1\\n\"", "seed")]
    public void No_value_ends_in_a_line_feed(string good, string bad, string field)
    {
        const string Text = "apiVersion: deepseekops/v1\nname: mini\nmodel: mini\nstages:\n- name: pretrain\n  kind: sft\n  instances: 8\n"
            + "  sequenceLength: 8\n  batchSize: 8\n  learningRate: 1e-3\n";
        Assert.DoesNotContain(PipelineText.Parse(Text).Errors, problem => problem.Field == field);
        Assert.Contains(PipelineText.Parse(Text.Replace(good, bad, StringComparison.Ordinal)).Errors, problem => problem.Field == field);
    }

    [Fact]
    public void A_number_with_anything_behind_it_is_none()
    {
        Gen<string> OneOf(params string[] texts) => Gen.OneOf(texts.Select(Gen.Const).ToArray());
        Gen.Select(OneOf("1", "64", "1Mi", "1e-3", "2.5", "10s", "50%"), OneOf("\n", "\r\n", "\u2028", " \n"),
            (number, end) => number + end).Sample(text =>
        {
            string value = System.Text.Json.JsonSerializer.Serialize(text);
            var parse =
                PipelineText.Parse("apiVersion: deepseekops/v1\nname: a\nmodel: mini\nstages:\n- name: b\n  kind: "
                    + $"sft\n  instances: {value}\n");
            Assert.Contains(parse.Errors, problem => problem.Field == "stages[0].instances");
        });
    }
}
