using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using Xunit;
using Examples = DeepSeekOps.ControlPlane.Tests.Pipelines.Examples;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class ComparisonTests
{
    [Fact]
    public void Runs_are_compared_in_the_last_stage_that_all_have_begun_where_the_slowest_of_them_stands()
    {
        Run[] runs = [RunOf("a"), RunOf("b")];
        ListSeriesReply[] series = [Series(("pretrain", 400), ("extend", 90), ("sft", 10)), Series(("pretrain", 400), ("extend", 60))];
        Assert.Equal(new ComparedAt("extend", 60), Comparison.PlaceOf(runs, series, null, null));
        Assert.Equal(new ComparedAt("pretrain", 400), Comparison.PlaceOf(runs, series, "pretrain", null));
        Assert.Equal(new ComparedAt("extend", 7), Comparison.PlaceOf(runs, series, null, 7));
        Assert.Null(Comparison.PlaceOf(runs, [series[0], Series()], null, null));
    }

    [Theory]
    [InlineData("sft", null, "b has made no step in a stage 'sft'.", "All of them have in pretrain, extend.")]
    [InlineData(null, 61L, "--step is 61, and b has made 60 in extend.", "Write 1 to 60.")]
    [InlineData(null, 0L, "--step is 0, and b has made 60 in extend.", "Write 1 to 60.")]
    public void What_not_all_of_them_have_is_refused_with_what_they_have(string? stage, long? step, string what, string fix)
    {
        ListSeriesReply[] series = [Series(("pretrain", 400), ("extend", 90), ("sft", 10)), Series(("pretrain", 400), ("extend", 60))];
        var refused = Assert.Throws<RefusalException>(() => Comparison.PlaceOf([RunOf("a"), RunOf("b")], series, stage, step));
        Assert.Equal((what, fix), (refused.Message, refused.Fix));
    }

    [Fact]
    public void What_differs_is_told_by_value_and_the_loss_beside_that_of_the_first()
    {
        string text = Printed(Three());
        Assert.Contains("At step 60 of extend:", text, StringComparison.Ordinal);
        Assert.Contains("+0.2500", text, StringComparison.Ordinal);
        Assert.Contains("-0.5000", text, StringComparison.Ordinal);
        var seeds = text.Split('\n').SkipWhile(line => !line.StartsWith("seed ", StringComparison.Ordinal)).Take(2).ToArray();
        Assert.EndsWith("a, c", seeds[0].TrimEnd(), StringComparison.Ordinal);
        Assert.EndsWith(" b", seeds[1].TrimEnd(), StringComparison.Ordinal);
        Assert.DoesNotContain("\nname ", text, StringComparison.Ordinal);
        Assert.All(text.Split('\n'), line => Assert.InRange(line.Length, 0, 80));
        string alone = Printed(new Comparison([RunOf("a"), RunOf("b")], PipelineDiff.Fields([Spec(1), Spec(1)]), null, []));
        Assert.Contains("There is no stage in which all of them have made a step.", alone, StringComparison.Ordinal);
        Assert.Contains("Their pipelines are the same but for the name.", alone, StringComparison.Ordinal);
    }

    [Fact]
    public void For_scripts_there_are_all_series_and_a_number_that_is_none_is_a_word()
    {
        var told = JsonNode.Parse(Three().Json())!;
        Assert.Equal(("extend", 60), ((string?)told["stage"], (int?)told["step"]));
        Assert.Equal("NaN", (string?)told["runs"]![1]!["series"]!["grad_norm"]);
        Assert.Equal(2.25, (double?)told["runs"]![1]!["series"]!["loss"]);
        var seed = Assert.Single(told["differences"]!.AsArray(), d => (string?)d!["field"] == "seed")!;
        Assert.Equal(["1", "2", "1"], seed["values"]!.AsArray().Select(v => (string?)v));
    }

    private static Comparison Three() => new([RunOf("a"), RunOf("b"), RunOf("c")], PipelineDiff.Fields([Spec(1), Spec(2), Spec(1)]),
        new ComparedAt("extend", 60),
        [
            new() { ["loss"] = 2, ["grad_norm"] = 1 }, new() { ["loss"] = 2.25, ["grad_norm"] = double.NaN }, new() { ["loss"] = 1.5 },
        ]);

    private static Decisions.Recipes.PipelineSpec Spec(int seed) => PipelineText.Parse(Examples.Read("mini"),
        settings: [new PipelineSetting("seed", seed.ToString(System.Globalization.CultureInfo.InvariantCulture))]).Spec!;

    private static string Printed(Comparison comparison)
    {
        using var output = new StringWriter();
        comparison.Write(new Terminal(output, TextWriter.Null, 80, Colors: false, Interactive: false));
        return output.ToString();
    }

    private static Run RunOf(string name)
    {
        var run = new Run { Name = name, State = "running" };
        run.Stages.Add(
        [
            .. ((string[])["pretrain", "extend", "sft"]).Select(stage => new Stage { Name = stage, Attempt = stage == "sft" ? 0 : 1 }),
        ]);
        return run;
    }

    private static ListSeriesReply Series(params (string Stage, long Last)[] stages)
    {
        var reply = new ListSeriesReply();
        reply.Series.Add(stages.Select(s => new Series { Stage = s.Stage, Name = "loss", FirstStep = 1, LastStep = s.Last }));
        return reply;
    }
}
