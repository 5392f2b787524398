using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class SpikesVerbTests
{
    [Fact]
    public async Task Alarms_and_actions_are_told_with_their_reasons_in_the_fields_that_scripts_read()
    {
        string lines = string.Concat(Enumerable.Range(1, 200).Select(i => $"{i},{(i is 100 or > 150 ? 4 : 2 + (i % 7 * 0.01))}\n"));
        var (code, output, _) = await Spikes($"step,loss\n{lines}201,nan\n", "--json");
        Assert.Equal(ExitCode.Ok, code);
        var report = JsonNode.Parse(output)!;
        Assert.Equal(["alarms", "actions"], report.AsObject().Select(field => field.Key));
        Assert.Equal([(100, "blip"), (151, "divergence"), (201, "nan")],
            report["alarms"]!.AsArray().Select(a => ((int)a!["step"]!, (string)a["kind"]!)));
        Assert.Equal([(171, "rollback"), (201, "rollback")],
            report["actions"]!.AsArray().Select(a => ((int)a!["step"]!, (string)a["policy"]!)));
        Assert.All(report["alarms"]!.AsArray().Concat(report["actions"]!.AsArray()),
            told => Assert.True(((string)told!["reason"]!).Length > 20));
    }

    [Fact]
    public async Task People_get_a_table_and_how_many_there_are()
    {
        var (code, output, _) = await Spikes("1,2\n2,inf\n", "--policy", "pause");
        Assert.Equal(ExitCode.Ok, code);
        Assert.Contains("the loss of step 2 is infinite", output, StringComparison.Ordinal);
        Assert.Contains("2 samples: 1 nan; 1 to act on.", output, StringComparison.Ordinal);
        Assert.Contains("No spike in 2 samples.", (await Spikes("1,2\n2,2\n")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_holds_no_losses_is_refused_by_line_field_value_and_fix()
    {
        var (code, _, error) = await Spikes("step,loss\n1,high\n");
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("line 2: loss is 'high'; it takes a number, nan or inf", error, StringComparison.Ordinal);
        (code, _, error) = await Run("spikes", "/nowhere.csv");
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("'/nowhere.csv' cannot be read", error, StringComparison.Ordinal);
        (code, _, error) = await Run("spikes", "/dev/zero");
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("'/dev/zero' cannot be read", error, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> Spikes(string text, params string[] options)
    {
        string path = Path.Combine(Path.GetTempPath(), $"dsops-losses-{Guid.NewGuid():n}.csv");
        await File.WriteAllTextAsync(path, text, TestContext.Current.CancellationToken);
        try
        {
            return await Run(["spikes", path, .. options]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static async Task<(int Code, string Output, string Error)> Run(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int code = await CommandLine.Run(
            arguments, new Terminal(output, error, 200, Colors: false, Interactive: false), TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
