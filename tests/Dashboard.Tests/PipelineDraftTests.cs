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

    /// <summary>
    /// Found by the test above: YamlDotNet throws an ArgumentException on the first of these, where it elsewhere throws its own.
    /// </summary>
    [Theory]
    [InlineData("{Hn?O!}*ebm5||2E.u")]
    [InlineData("? [a, b]\n: c")]
    [InlineData("{[a]: b}")]
    [InlineData("!!x *y")]
    public void A_value_that_upsets_the_parser_is_put_in_quotes(string value)
    {
        var after = PipelineDraft.Read(PipelineDraft.Read(Examples.Text("mini")!).With("team", value));
        Assert.Equal(value, after.Find("team")?.Value);
    }

    /// <summary>Half-typed texts are the editor's daily bread: each is read or said to be broken, none ends the page.</summary>
    [Fact]
    public void Any_text_is_read_or_said_to_be_broken() =>
        Gen.Char["{}[]()*&!|>?:-,#'\"%@ \n\tab1"].Array[0, 40].Select(c => new string(c)).Sample(
            text => PipelineDraft.Read(text) is { } draft && (draft.Broken is not null || draft.Text == text), iter: 20_000);

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    [InlineData("? ")]
    public void Deep_nesting_is_said_and_not_followed(string opening)
    {
        var deep = string.Concat(Enumerable.Repeat(opening, 100_000));
        Assert.Contains("deeper", PipelineDraft.Read(deep).Broken, StringComparison.Ordinal);
        Assert.Equal(deep, PipelineDraft.Read(PipelineDraft.Read("name: a").With("name", deep)).Find("name")?.Value);
    }

    [Fact]
    public void A_circle_of_aliases_is_said_and_not_followed() =>
        Assert.Contains("alias", PipelineDraft.Read("? &a [*a]\n: b\nname: c").Broken, StringComparison.Ordinal);

    [Fact]
    public void A_text_that_is_no_yaml_says_where()
    {
        var draft = PipelineDraft.Read("name: a\nmodel: {preset");
        Assert.Empty(draft.Sections);
        Assert.StartsWith("Line ", draft.Broken, StringComparison.Ordinal);
    }
}
