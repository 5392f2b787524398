using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class SimulateVerbTests
{
    [Fact]
    public async Task The_ledger_adds_up_to_gpus_times_wall_clock_exactly_even_as_doubles()
    {
        var report = await Simulated("--faults", "rsc1", "--seed", "3", "--days", "2");
        double sum = report["gpuSeconds"]!.AsObject().Sum(bucket => (double)bucket.Value!);
        Assert.Equal((double)report["gpus"]! * (double)report["wallClockSeconds"]!, sum);
        Assert.Equal(2 * 86_400.0, (double)report["wallClockSeconds"]!);
        Assert.True((bool)report["simulated"]!);
        Assert.NotEmpty(report["restartsByCause"]!.AsObject());
    }

    [Fact]
    public async Task The_same_seed_prints_the_same_bytes_and_another_seed_others()
    {
        string[] options = ["--days", "0.3", "--seed", "5"];
        string first = await Json(options);
        Assert.Equal(first, await Json(options));
        Assert.NotEqual(first, await Json("--days", "0.3", "--seed", "6"));
    }

    [Fact]
    public async Task Without_faults_only_checkpoints_and_the_start_take_time_from_training()
    {
        var report = await Simulated("--faults", "none", "--days", "1");
        Assert.All(new[] { "lostWork", "detection", "restart", "queue", "repair" },
            bucket => Assert.Equal(0, (double)report["gpuSeconds"]![bucket]!));
        Assert.InRange((double)report["ettr"]!, 0.99, 1);
    }

    [Fact]
    public async Task Ettr_is_within_half_a_point_of_the_closed_form()
    {
        var stage = (await Simulated("--faults", "rsc1", "--days", "8"))["stages"]![0]!;
        Assert.InRange((double)stage["ettr"]! - (double)stage["closedForm"]!, -0.005, 0.005);
    }

    [Fact]
    public async Task The_report_is_one_page_that_asks_the_network_for_nothing_and_says_that_it_is_simulated()
    {
        string path = Path.Combine(Path.GetTempPath(), $"dsops-report-{Environment.ProcessId}.html");
        try
        {
            var report = await Simulated("--days", "2", "--seed", "3", "--faults", "rsc1", "--report", path);
            string page = await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken);
            Assert.DoesNotContain("://", page, StringComparison.Ordinal);
            Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
            Assert.Contains("<span class=\"badge\">simulated</span>", page, StringComparison.Ordinal);
            Assert.Contains("prefers-color-scheme:dark", page, StringComparison.Ordinal);
            Assert.NotEmpty(report["causes"]!.AsArray());
            Assert.All(report["causes"]!.AsArray(),
                cause => Assert.Contains($"<td>{cause!["cause"]}</td>", page, StringComparison.Ordinal));
            Assert.Contains($"{(double)report["gpuSeconds"]!["productive"]! / 3600:#,0}</td>", page, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task A_report_that_cannot_be_written_is_refused_with_its_name()
    {
        var (code, _, error) = await Run(80, "simulate", Example, "--days", "1", "--report", "/nowhere/at/all.html");
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("--report is '/nowhere/at/all.html'", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Policies_are_compared_on_the_same_seeds_and_the_same_every_time()
    {
        // What is the same every time is so after hours; policies differ after a fault or two, which takes a day.
        string[] hours = ["--compare", "--seeds", "2", "--days", "0.05", "--faults", "rsc1"];
        Assert.Equal(await Json(hours), await Json(hours));
        string first = await Json("--compare", "--seeds", "2", "--days", "1", "--faults", "rsc1");
        var compared = JsonNode.Parse(first)!;
        Assert.Equal([1, 2], compared["seeds"]!.AsArray().Select(s => (int)s!));
        var lost = compared["policies"]!.AsArray().ToDictionary(p => (string)p!["name"]!, p => (double)p!["lostGpuHours"]!["mean"]!);
        Assert.True(lost["checkpoint every 2 hours"] > lost["checkpoint every 30 minutes"], first);
        Assert.True(lost["torchrun, large rendezvous"] > lost["torchrun at its best"], first);
        Assert.True(lost["Slurm defaults"] > lost["as planned"], first);
        Assert.Equal(0, (double)compared["policies"]![0]!["lostGpuHoursBeyond"]!["mean"]!);
    }

    [Theory]
    [InlineData(80)]
    [InlineData(40)]
    public async Task Tables_fit_the_terminal_and_say_that_they_are_simulated(int width)
    {
        var (code, output, _) = await Run(width, "simulate", Example, "--days", "0.3", "--faults", "rsc1");
        Assert.Equal(ExitCode.Ok, code);
        Assert.All(output.Split('\n'), line => Assert.InRange(line.Length, 0, width));
        Assert.Contains("(simulated)", output, StringComparison.Ordinal);
        Assert.Contains("productive", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--faults", "mars", "llama3")]
    [InlineData("--days", "0", "--days is 0")]
    [InlineData("--nodes", "0", "--nodes is 0; it must lie between 1 and 16384")]
    [InlineData("--nodes", "many", "--nodes is 'many'; it takes a whole number")]
    [InlineData("--seed", "99999999999", "--seed is '99999999999'; it takes a whole number between -2147483648 and 2147483647")]
    [InlineData("--seeds", "1", "--seeds is 1; it must lie between 2 and", "--compare")]
    [InlineData("--days", "long", "--days is 'long'; it takes a number")]
    [InlineData("--faults", "mars", "Must be one of: 'llama3', 'rsc1', 'rsc2', 'fireflyer', 'none'")]
    public async Task What_cannot_be_simulated_is_wrong_use(string option, string value, string says, params string[] beside)
    {
        var (code, _, error) = await Run(200, ["simulate", Example, option, value, .. beside]);
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(says, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stage_larger_than_the_cluster_is_refused_with_both_numbers()
    {
        var (code, _, error) = await Run(80, "simulate", Example, "--nodes", "100", "--spares", "2");
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("asks for 256 nodes; the cluster has 100 and 2 spares", error, StringComparison.Ordinal);
    }

    private static string Example { get; } = Path.Combine(RepositoryRoot(), "deploy", "examples", "deepseek-v3.yaml");

    private static async Task<JsonNode> Simulated(params string[] options) => JsonNode.Parse(await Json(options))!;

    private static async Task<string> Json(params string[] options)
    {
        var (code, output, error) = await Run(80, ["simulate", Example, "--json", .. options]);
        Assert.True(code == ExitCode.Ok, error);
        return output;
    }

    private static async Task<(int Code, string Output, string Error)> Run(int width, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int code =
            await CommandLine.Run(args, new Terminal(output, error, width, Colors: false, Interactive: false),
                TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }

    private static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "DeepSeekOps.sln")))
        {
            folder = folder.Parent;
        }

        return folder.FullName;
    }
}
