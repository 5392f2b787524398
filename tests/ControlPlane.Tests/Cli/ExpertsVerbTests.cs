using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class ExpertsVerbTests
{
    [Theory]
    [InlineData(80, true)]
    [InlineData(40, false)]
    public void A_layer_has_one_line_that_fits_with_its_newest_report_and_where_there_is_room_its_first(int width, bool first)
    {
        string[] lines = Written(width, Load(1, 235_000)).TrimEnd().Split('\n');
        Assert.All(lines.Where(line => width == 80 || char.IsDigit(line[0])), line => Assert.InRange(line.Length, 0, width));
        Assert.Contains(lines,
            line => line.Contains("BUSY@235000", StringComparison.Ordinal) && line.Contains("BUSY@1 ", StringComparison.Ordinal) == first);
        Assert.Equal(first ? 9 : 5, Assert.Single(lines, line => line.StartsWith('7')).Replace(" %", "%", StringComparison.Ordinal)
            .Split(' ', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public void A_stage_that_told_once_shows_one_report() =>
        Assert.Contains("LAYER  BUSY@1  IDLE    CV   EMPTY\n7        1.75  0.25  0.53  50.0 %", Written(80, Load(1, 1)),
            StringComparison.Ordinal);

    [Fact]
    public void Programs_get_every_ratio_as_a_number()
    {
        var layer = JsonNode.Parse(ProtoJson.Document(Load(1, 5)))!["newest"]!["layers"]![0]!;
        Assert.Equal([0.25, 1.75], layer["ratios"]!.AsArray().Select(ratio => (double)ratio!));
        Assert.Equal(1.75, (double)layer["busiest"]!);
    }

    private static ExpertLoad Load(long first, long newest) =>
        new() { Stage = "pretrain", Experts = 2, First = Report(first), Newest = Report(newest) };

    private static ExpertLoadReport Report(long step) => new()
    {
        Step = step, Attempt = 1,
        Layers = { new LayerLoad
        {
            Name = "7",
            Busiest = 1.75,
            BusiestExpert = 1,
            Idlest = 0.25,
            Variation = 0.53,
            WithoutTokens = 0.5,
            Ratios = { 0.25f, 1.75f },
        } },
    };

    private static string Written(int width, ExpertLoad load)
    {
        using var output = new StringWriter { NewLine = "\n" };
        ExpertsVerb.Write(new Terminal(output, TextWriter.Null, width, Colors: false, Interactive: false), "mini", load);
        return output.ToString();
    }
}
