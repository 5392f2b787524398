using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Runs;

public sealed class RunSearchTests
{
    [Theory]
    [InlineData("alpha", RunField.Any, "alpha", false, false)]
    [InlineData("TEAM:Alpha", RunField.Team, "alpha", false, false)]
    [InlineData("name=mini", RunField.Name, "mini", true, false)]
    [InlineData("-state:failed", RunField.State, "failed", false, true)]
    [InlineData("group:rack-*", RunField.Group, "rack-*", false, false)]
    [InlineData("-", RunField.Any, "-", false, false)]
    public void A_word_says_where_it_is_looked_for(string text, RunField field, string wanted, bool whole, bool not) =>
        Assert.Equal(new RunTerm(field, wanted, whole, not), Assert.Single(RunSearch.Parse(text).Terms));

    [Fact]
    public void A_field_without_a_word_looks_for_nothing_yet() => Assert.Empty(RunSearch.Parse("team:").Terms);

    [Fact]
    public void A_field_that_there_is_not_is_said_and_looked_for_as_it_stands()
    {
        var search = RunSearch.Parse("tema:alpha");
        Assert.Equal("'tema:' is not a field to search by; write name:, team:, group: or state:", search.Hint);
        Assert.Equal("tema:alpha", Assert.Single(search.Terms).Text);
    }

    [Fact]
    public void Whatever_is_written_is_understood_somehow() => Gen.String.Sample(text =>
    {
        var search = RunSearch.Parse(text);
        Assert.All(search.Terms, term => Assert.NotEqual("", term.Text));
    });

    [Fact]
    public void A_summary_holds_nothing_that_grows_with_the_pipeline_or_the_gang()
    {
        var stage = StageViews.NotBegun(new StageWork("pretrain", "pretraining", 10, 10, 1, 1, 0, "a", 3, null, new RecoveryPolicy())) with
        {
            Reason = new string('x', 10_000),
            Ranks = [.. Enumerable.Range(0, 2048).Select(r => new RankView(r, "node", 1, default, null, 1))],
        };
        var run = new RunView("big", "a", "running", new string('y', 10_000), DateTimeOffset.UnixEpoch, null,
            [stage], new string('#', 94_000), false)
        { Parameters = 7, Groups = ["west"] };
        var summary = run.Summary();
        Assert.Equal(("", 300, 7L), (summary.PipelineText, summary.Reason.Length, summary.Parameters));
        Assert.Empty(summary.Stages[0].Ranks);
        Assert.Equal("big\na\nwest\nrunning", RunSearch.TextOf(summary));
    }
}
