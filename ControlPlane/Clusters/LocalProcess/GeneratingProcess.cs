using System.Diagnostics;
using System.Text;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>The pod that tries checkpoints, as a child of this process.</summary>
internal sealed class GeneratingProcess : IGeneratingPod
{
    private readonly Process process;

    private GeneratingProcess(Process process) => this.process = process;

    public int Pid => process.Id;

    public string Name => $"process {process.Id}";

    public bool Alive => !process.HasExited;

    public TextWriter Orders => process.StandardInput;

    public TextReader News => process.StandardOutput;

    public TextReader Complaints => process.StandardError;

    /// <param name="program">Path of dsops-worker.dll.</param>
    public static GeneratingProcess Start(string program)
    {
        var utf8 = new UTF8Encoding(false);
        string[] words = [.. WorkerProgram.Command(program), "generate", "--stream"];
        var start = new ProcessStartInfo(words[0], words[1..])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            StandardInputEncoding = utf8, StandardOutputEncoding = utf8, StandardErrorEncoding = utf8,
        };
        return new GeneratingProcess(Process.Start(start) ?? throw new IOException($"{program} did not start"));
    }

    public async Task<string> End(TimeSpan patience)
    {
        try
        {
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it had read all.
        }

        using var limit = new CancellationTokenSource(patience);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }

        return process.ExitCode > 128 ? $"was ended by signal {process.ExitCode - 128}" : $"ended with exit code {process.ExitCode}";
    }

    public ValueTask DisposeAsync()
    {
        process.Dispose();
        return ValueTask.CompletedTask;
    }
}
