using CsCheck;
using DeepSeekOps.Dashboard.Pages.Submit;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class PipelineDraftTests
{
    /// <summary>Whatever somebody writes into a field: it reads back as written, no other field changes, and no comment is lost.</summary>
    [Fact]
    public void Any_value_in_any_field_reads_back_and_leaves_the_rest_as_it_was()
    {
        var text = Examples.Text("mini")!;
        var draft = PipelineDraft.Read(text);
        var fields = draft.Sections.SelectMany(s => s.Fields).ToArray();
        Assert.True(fields.Length > 25);
        Gen.Select(Gen.Int[0, fields.Length - 1], Gen.String[Gen.Char[' ', '~'], 0, 24]).Sample(
            (at, value) =>
            {
                var after = PipelineDraft.Read(draft.With(fields[at].Path, value));
                Assert.Null(after.Broken);
                Assert.Equal(value, after.Find(fields[at].Path)?.Value);
                Assert.All(fields.Where((_, i) => i != at), f => Assert.Equal(f.Value, after.Find(f.Path)?.Value));
                Assert.Contains("# of one cause without progress, see docs", after.Text, StringComparison.Ordinal);
            },
            iter: 400);
    }

    [Fact]
    public void A_text_that_is_no_yaml_says_where()
    {
        var draft = PipelineDraft.Read("name: a\nmodel: {preset");
        Assert.Empty(draft.Sections);
        Assert.StartsWith("Line ", draft.Broken, StringComparison.Ordinal);
    }
}
