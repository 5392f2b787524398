using Grpc.Core;

namespace DeepSeekOps.Dashboard.Streams;

public static class Subscription
{
    /// <param name="show">Gets all that came since the last time, oldest first, at most twice a second; nothing when only
    /// the stream's own state changed. A component hands it on to its dispatcher.</param>
    public static Subscription<T> Begin<T>(
        Func<CancellationToken, AsyncServerStreamingCall<T>> open, Func<IReadOnlyList<T>, Task> show, TimeProvider clock) =>
        new(open, show, clock);
}

/// <summary>One server stream, kept up until disposed: begun again after a loss with growing pauses.</summary>
public sealed class Subscription<T> : IAsyncDisposable
{
    private static readonly TimeSpan ShowEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource ending = new();
    private readonly Func<CancellationToken, AsyncServerStreamingCall<T>> open;
    private readonly Func<IReadOnlyList<T>, Task> show;
    private readonly TimeProvider clock;
    private readonly Lock gate = new();
    private readonly Task loop;
    private List<T> waiting = [];
    private ITimer? due;
    private long shownAt;

    internal Subscription(Func<CancellationToken, AsyncServerStreamingCall<T>> open, Func<IReadOnlyList<T>, Task> show, TimeProvider clock)
    {
        (this.open, this.show, this.clock) = (open, show, clock);
        loop = Run();
    }

    /// <summary>Why nothing comes, in words; null while all is well.</summary>
    public string? Trouble { get; private set; }

    /// <summary>What was asked for is not there, or cannot be: asking again is of no use.</summary>
    public bool NotFound { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await ending.CancelAsync();
        await loop;
        lock (gate)
        {
            due?.Dispose();
        }
        ending.Dispose();
    }

    private async Task Run()
    {
        await Task.Yield();
        var pause = FirstPause;
        while (!ending.IsCancellationRequested && !NotFound)
        {
            try
            {
                using var call = open(ending.Token);
                await foreach (var item in call.ResponseStream.ReadAllAsync(ending.Token))
                {
                    Trouble = null;
                    pause = FirstPause;
                    Enqueue(item);
                }
            }
            catch (Exception lost) when (lost is RpcException or OperationCanceledException)
            {
                if (ending.IsCancellationRequested)
                {
                    return;
                }
                Trouble = lost is RpcException rpc ? Faults.InWords(rpc) : "The stream was cut.";
                NotFound = lost is RpcException { StatusCode: StatusCode.NotFound or StatusCode.InvalidArgument };
                ShowSoon();
            }
            await Task.Delay(pause, clock, ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private void Enqueue(T item)
    {
        lock (gate)
        {
            waiting.Add(item);
        }
        ShowSoon();
    }

    /// <summary>The first news shows at once; what follows within half a second shows together.</summary>
    private void ShowSoon()
    {
        lock (gate)
        {
            if (due is not null)
            {
                return;
            }
            var since = shownAt == 0 ? ShowEvery : clock.GetElapsedTime(shownAt);
            var wait = since >= ShowEvery ? TimeSpan.Zero : ShowEvery - since;
            due = clock.CreateTimer(_ => ShowNow(), null, wait, Timeout.InfiniteTimeSpan);
        }
    }

    private void ShowNow()
    {
        List<T> batch;
        lock (gate)
        {
            due?.Dispose();
            due = null;
            shownAt = clock.GetTimestamp();
            (batch, waiting) = (waiting, []);
        }
        if (!ending.IsCancellationRequested)
        {
            _ = show(batch);
        }
    }
}
