using System.Collections.Concurrent;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf;

namespace DeepSeekOps.ControlPlane.Clusters.Generation;

/// <summary>Speaks with the worker program of a <see cref="IGeneratingPod"/>: orders and news as lines of JSON.</summary>
internal sealed class GeneratingWorker : IAsyncDisposable
{
    private const int LastWordsKept = 5;
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(2);

    private readonly IGeneratingPod pod;
    private readonly ConcurrentQueue<string> lastWords = new();
    private readonly Channel<GenerationNews> news =
        Channel.CreateUnbounded<GenerationNews>(new UnboundedChannelOptions { SingleWriter = true });
    private readonly Task complaints;

    public GeneratingWorker(IGeneratingPod pod)
    {
        this.pod = pod;
        complaints = HearComplaints();
        _ = Listen();
    }

    public string Name => pod.Name;

    public bool Alive => pod.Alive;

    /// <returns>False: it does not read any more; it has ended, or is about to.</returns>
    public async Task<bool> Send(GenerationOrder order, CancellationToken cancellation)
    {
        try
        {
            await pod.Orders.WriteLineAsync(JsonFormatter.Default.Format(order).AsMemory(), cancellation);
            await pod.Orders.FlushAsync(cancellation);
            return true;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Its next line. Null: it has ended.</summary>
    public async Task<GenerationNews?> Next(CancellationToken cancellation) =>
        await news.Reader.WaitToReadAsync(cancellation) && news.Reader.TryRead(out var next) ? next : null;

    /// <summary>How it ended, with what it last complained of.</summary>
    public async Task<string> HowItEnded()
    {
        string how = await pod.End(Farewell);
        // What it said last is on its way still; one that keeps silent is not waited for.
        await complaints.WaitAsync(Farewell).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return lastWords.IsEmpty ? $"It {how}." : $"It {how}: {string.Join(' ', lastWords)}";
    }

    public async ValueTask DisposeAsync()
    {
        await pod.End(Farewell);
        await pod.DisposeAsync();
    }

    /// <summary>On its own, because a reader that is cancelled within a line would lose the part that it has.</summary>
    private async Task Listen()
    {
        try
        {
            while (await pod.News.ReadLineAsync(CancellationToken.None) is { } line)
            {
                news.Writer.TryWrite(GenerationNews.Parser.ParseJson(line));
            }
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or IOException or ObjectDisposedException)
        {
            Remember($"What it said is not a message: {e.Message}");
        }

        news.Writer.Complete();
    }

    private async Task HearComplaints()
    {
        try
        {
            while (await pod.Complaints.ReadLineAsync(CancellationToken.None) is { } line)
            {
                Remember(line);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // Nothing more is to be heard.
        }
    }

    private void Remember(string line)
    {
        if (!string.IsNullOrWhiteSpace(line))
        {
            lastWords.Enqueue(line.Trim());
            while (lastWords.Count > LastWordsKept)
            {
                lastWords.TryDequeue(out _);
            }
        }
    }
}
