using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>`dsops-worker validate` on this machine, once.</summary>
internal static class TestProcess
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>Some seconds on an idle machine, and minutes beside training on few cores: ours.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <param name="program">Path of dsops-worker.dll.</param>
    /// <param name="folder">Where the node's files lie: its disk is tested there.</param>
    /// <exception cref="IOException">It could not be tested; the message says why.</exception>
    public static async Task<NodeFigures> Run(string program, string folder, int ranks, TimeProvider clock, CancellationToken cancellation)
    {
        string[] words = [.. WorkerProgram.Command(program), "validate", "--folder", folder,
            "--ranks", ranks.ToString(CultureInfo.InvariantCulture)];
        var start = new ProcessStartInfo(words[0], words[1..])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using var process = Process.Start(start) ?? throw new IOException($"{program} did not start");
        process.StandardInput.Close();
        using var late = new CancellationTokenSource(Patience, clock);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation, late.Token);
        try
        {
            var said = process.StandardOutput.ReadToEndAsync(limit.Token);
            var complained = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return Read(process.ExitCode, await said, await complained);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            throw new IOException(
                string.Create(CultureInfo.InvariantCulture, $"its test took more than {Patience.TotalMinutes:0} minutes"));
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
                await process.WaitForExitAsync(CancellationToken.None);
            }
        }
    }

    internal static NodeFigures Read(int exitCode, string said, string complained)
    {
        try
        {
            if (exitCode == 0 && JsonSerializer.Deserialize<NodeFigures>(said, Json) is { } figures)
            {
                return figures with { Wrong = figures.Wrong.IsDefault ? [] : figures.Wrong };
            }
        }
        catch (JsonException)
        {
            // Told below, with what it said.
        }

        string last = complained.Trim().Split('\n')[^1];
        throw new IOException(string.Create(CultureInfo.InvariantCulture, $"its test ended with exit code {exitCode}")
            + (last.Length > 0 ? $": {last}" : ""));
    }
}
