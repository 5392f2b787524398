using System.Text.Json.Nodes;
using CsCheck;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class WhyVerbTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-why-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_log_tells_class_cause_fix_retry_and_the_line_that_says_so()
    {
        var told = await Json(
            Log("step 1\n[rank3]: OSError: [Errno 28] No space left on device: '/d'\nbye\n"u8.ToArray()), "--exit", "1");
        Assert.Equal("disk-full", (string?)told["class"]);
        Assert.Equal((false, true), ((bool)told["retryable"]!, (bool)told["sure"]!));
        Assert.Equal((2, "3"), ((int)told["lineNumber"]!, (string?)told["rank"]));
        Assert.Equal("OSError: [Errno 28] No space left on device: '/d'", (string?)told["line"]);
        Assert.NotEqual("", (string?)told["fix"]);
    }

    [Fact]
    public Task Bytes_that_are_no_text_end_nothing() => Gen.Byte.Array[0, 20_000].SampleAsync(async bytes =>
    {
        Assert.NotEqual("", (string?)(await Json(Log(bytes), "--exit", "139"))["class"]);
    }, iter: 10);

    [Fact]
    public async Task What_lies_far_from_a_line_end_is_found_and_a_code_alone_is_enough()
    {
        byte[] one = [.. Enumerable.Repeat((byte)'x', 3_000_000), .. " CUDA out of memory. "u8, .. Enumerable.Repeat((byte)'y', 3_000_000)];
        Assert.Equal("cuda-out-of-memory", (string?)(await Json(Log(one)))["class"]);
        Assert.Equal("killed", (string?)(await Json(Log([]), "--exit", "-9"))["class"]);
        Assert.Equal("unknown", (string?)(await Json(Log([])))["class"]);
    }

    [Fact]
    public async Task What_cannot_be_read_and_a_code_that_is_none_are_refused_in_words()
    {
        var (code, _, error) = await Run("why", "--log", Path.Combine(_folder.FullName, "none"));
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("There is no file", error, StringComparison.Ordinal);
        (code, _, error) = await Run("why", "--log", "/dev/zero", "--exit", "256");
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains("--exit is 256; it must lie between -64 and 255.", error, StringComparison.Ordinal);
    }

    private string Log(byte[] bytes)
    {
        string path = Path.Combine(_folder.FullName, "rank.log");
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private static async Task<JsonNode> Json(string log, params string[] options)
    {
        var (code, output, error) = await Run(["why", "--log", log, "--json", .. options]);
        Assert.True(code == ExitCode.Ok, error);
        return JsonNode.Parse(output)!;
    }

    private static async Task<(int Code, string Output, string Error)> Run(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int code = await CommandLine.Run(args, new Terminal(output, error, 100, Colors: false, Interactive: false),
            TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
