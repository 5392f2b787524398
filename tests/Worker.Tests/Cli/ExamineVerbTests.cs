using System.Text.Json.Nodes;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Cli;
using DeepSeekOps.Worker.Parallel.Nccl;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Cli;

/// <summary>What the worker tells `dsops doctor` of itself. No process is started; libtorch is loaded here anyway.</summary>
public sealed class ExamineVerbTests
{
    [Fact]
    public void It_tells_who_it_is_before_it_loads_anything_and_then_what_loaded()
    {
        var (code, lines, _) = Run();
        Assert.Equal(0, code);
        Assert.Equal(NodeAgent.Protocol, (int?)lines[0]["protocol"]);
        Assert.StartsWith("0.", (string?)lines[0]["version"], StringComparison.Ordinal);
        // Of what it is about to load nothing is known yet but where it lies.
        Assert.Null(lines[1]["libtorch"]!["trouble"]);
        Assert.Equal("", (string?)lines[2]["libtorch"]!["trouble"]);
        Assert.StartsWith("2.1", (string?)lines[2]["libtorch"]!["version"], StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine((string)lines[2]["libtorch"]!["folder"]!, "libtorch_cpu.so")));
        Assert.Equal(NcclLibrary.Oldest, (int?)lines[3]["ncclOldest"]);
        Assert.Equal(4, lines.Length);
    }

    [Fact]
    public void A_store_without_keys_is_told_with_the_variables_that_hold_them()
    {
        Assert.SkipWhen(Environment.GetEnvironmentVariable("AWS_ACCESS_KEY_ID") is { Length: > 0 }, "this machine has keys of a store");
        var (code, lines, _) = Run(
            "--store", "s3://bucket/prefix", "--endpoint", "http://127.0.0.1:1", "--region", "us-east-1", "--path-style");
        Assert.Equal(0, code);
        Assert.Contains("no keys", (string?)lines[1]["store"]!["trouble"], StringComparison.Ordinal);
        Assert.Contains("AWS_ACCESS_KEY_ID", (string?)lines[1]["store"]!["fix"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--stor", "s3://b/p")]
    [InlineData("--store")]
    [InlineData("--region", "r")]
    public void Words_that_it_does_not_know_are_wrong_use(params string[] words)
    {
        var (code, lines, complained) = Run(words);
        Assert.Equal((2, 0), (code, lines.Length));
        Assert.Contains("Usage: dsops-worker examine", complained, StringComparison.Ordinal);
    }

    private static (int Code, JsonNode[] Lines, string Complained) Run(params string[] words)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        int code = ExamineVerb.Run(words, output, errors);
        JsonNode[] lines = [.. output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonNode.Parse(l)!)];
        return (code, lines, errors.ToString());
    }
}
