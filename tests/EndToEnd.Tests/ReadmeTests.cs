using System.Diagnostics;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>The README's commands, typed as they stand there: in the repository's root, with paths from there.</summary>
public sealed class ReadmeTests
{
    [Fact]
    public async Task Dotnet_run_finds_the_example_by_the_path_that_was_typed()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        string configuration = folder.Name;
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "DeepSeekOps.sln")))
        {
            folder = folder.Parent;
        }

        string root = folder?.FullName ?? throw new DirectoryNotFoundException("DeepSeekOps.sln is in no folder above the tests.");
        string[] command = ["run", "-c", configuration, "--no-build", "--project", "ControlPlane", "--", "plan",
            "deploy/examples/mini.yaml"];
        var start = new ProcessStartInfo("dotnet", command)
        {
            WorkingDirectory = root,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var run = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
        var output = run.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = run.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Eventually.Patience);
        await run.WaitForExitAsync(limit.Token);
        Assert.True(run.ExitCode == 0, await error);
        Assert.Contains("mini", await output, StringComparison.Ordinal);
    }
}
