using System.Text.Json;
using DeepSeekOps.Worker.Cli;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Cli;

/// <summary>Costs three processes with libtorch, some 8 CPU seconds.</summary>
public sealed class FormingGangTests
{
    [Fact]
    public void A_gang_that_loses_a_rank_forms_anew_and_tells_how_long_each_part_took()
    {
        var (output, errors) = (new StringWriter(), new StringWriter());
        var code = BenchVerb.Run(["--forming", "1", "--parallel", "dp=2"], output, errors);
        Assert.True(code == 0, $"{output}{errors}");
        JsonElement[] lines = [.. output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Equal(2, lines.Length);
        string[] phases = ["noticed", "letGo", "device", "sockets", "gpus", "firstCall"];
        Assert.All(phases, phase => Assert.InRange(lines[0].GetProperty(phase).GetDouble(), 0, lines[0].GetProperty("total").GetDouble()));
        Assert.True(lines[0].GetProperty("noticed").GetDouble() > 0);
        // Of one loss, median and 95th percentile are that one.
        foreach (var share in new[] { "median", "of95" })
        {
            Assert.All(phases.Append("total"), phase => Assert.Equal(
                lines[0].GetProperty(phase).GetDouble(), lines[1].GetProperty(share).GetProperty(phase).GetDouble()));
        }
    }

    [Theory]
    [InlineData("--forming", "0", "--parallel", "dp=2")]
    [InlineData("--forming", "2", "--parallel", "dp=1")]
    [InlineData("--forming", "2")]
    [InlineData("--forming", "2", "--parallel", "dp=2", "--device", "tpu")]
    [InlineData("--forming", "2", "--parallel", "pp=2", "--shrink", "anew")]
    [InlineData("--forming", "2", "--parallel", "dp=2", "--shrink", "nccl")]
    [InlineData("--forming", "2", "--parallel", "dp=2", "--shrink", "half")]
    public void What_makes_no_sense_is_answered_by_the_usage(params string[] args)
    {
        var (output, errors) = (new StringWriter(), new StringWriter());
        Assert.Equal((2, ""), (BenchVerb.Run(args, output, errors), output.ToString()));
        Assert.Contains("--forming LOSSES", errors.ToString(), StringComparison.Ordinal);
    }
}
