using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using Google.Protobuf;

namespace DeepSeekOps.ControlPlane.Clusters.Generation;

/// <summary>
/// A `dsops-worker generate --stream` process. It ends when its stdin does, and so with this process, however this one ends.
/// </summary>
internal sealed class GeneratingWorker : IAsyncDisposable
{
    private const int LastWordsKept = 5;
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(2);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lastWords = new();
    private readonly Channel<GenerationNews> _news =
        Channel.CreateUnbounded<GenerationNews>(new UnboundedChannelOptions { SingleWriter = true });

    private GeneratingWorker(Process process)
    {
        _process = process;
        _process.ErrorDataReceived += (_, said) => Remember(said.Data);
        _process.BeginErrorReadLine();
        _ = Listen();
    }

    public int Pid => _process.Id;

    public bool Alive => !_process.HasExited;

    public static GeneratingWorker Start(string program)
    {
        var utf8 = new UTF8Encoding(false);
        var start = new ProcessStartInfo(WorkerProgram.DotnetHost(), [program, "generate", "--stream"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            StandardInputEncoding = utf8, StandardOutputEncoding = utf8, StandardErrorEncoding = utf8,
        };
        return new GeneratingWorker(Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start"));
    }

    /// <returns>False: it does not read any more; it has ended, or is about to.</returns>
    public async Task<bool> Send(GenerationOrder order, CancellationToken cancellation)
    {
        try
        {
            await _process.StandardInput.WriteLineAsync(JsonFormatter.Default.Format(order).AsMemory(), cancellation);
            await _process.StandardInput.FlushAsync(cancellation);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Its next line. Null: it has ended.</summary>
    public async Task<GenerationNews?> Next(CancellationToken cancellation) =>
        await _news.Reader.WaitToReadAsync(cancellation) && _news.Reader.TryRead(out var news) ? news : null;

    /// <summary>How it ended, with what it last complained of.</summary>
    public async Task<string> HowItEnded()
    {
        await EndWithin(Farewell);
        string how = _process.ExitCode > 128
            ? $"was ended by signal {_process.ExitCode - 128}" : $"ended with exit code {_process.ExitCode}";
        return _lastWords.IsEmpty ? $"It {how}." : $"It {how}: {string.Join(' ', _lastWords)}";
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it had read all.
        }

        await EndWithin(Farewell);
        _process.Dispose();
    }

    /// <summary>On its own, because a reader that is cancelled within a line would lose the part that it has.</summary>
    private async Task Listen()
    {
        try
        {
            while (await _process.StandardOutput.ReadLineAsync(CancellationToken.None) is { } line)
            {
                _news.Writer.TryWrite(GenerationNews.Parser.ParseJson(line));
            }
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or IOException or ObjectDisposedException)
        {
            Remember($"What it said is no message: {e.Message}");
        }

        _news.Writer.Complete();
    }

    private async Task EndWithin(TimeSpan patience)
    {
        using var limit = new CancellationTokenSource(patience);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
        }
    }

    private void Remember(string? line)
    {
        if (!string.IsNullOrWhiteSpace(line))
        {
            _lastWords.Enqueue(line.Trim());
            while (_lastWords.Count > LastWordsKept)
            {
                _lastWords.TryDequeue(out _);
            }
        }
    }
}
