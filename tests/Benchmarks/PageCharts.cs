using System.Diagnostics;
using System.Net;
using System.Net.WebSockets;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>What the charts of an open run page ask for, as charts/board.js and charts/live.js do.</summary>
internal sealed class PageCharts(Dsops dsops, Calls calls)
{
    /// <summary>Live points are drawn as they come; so often all are asked for anew.</summary>
    private static readonly TimeSpan PointsEvery = TimeSpan.FromSeconds(15);

    public Task Follow(HttpClient http, CookieContainer cookies, CancellationToken closed) =>
        Task.WhenAll(Points(http, closed), Live(cookies, closed));

    private async Task Points(HttpClient http, CancellationToken closed)
    {
        string names = "loss,mtp_loss,balance_loss,grad_norm,learning_rate,tokens_per_second";
        var url = new Uri($"{dsops.Http}/series/buckets?run={LoadRun.Name}&stage={LoadRun.Stage}&names={names}&px=720&x=step");
        while (!closed.IsCancellationRequested)
        {
            try
            {
                await calls.Time("charts: points", () => http.GetByteArrayAsync(url, closed));
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
            {
                // Counted, or the page was closed.
            }

            await Task.Delay(PointsEvery, closed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The points as they come.</summary>
    private async Task Live(CookieContainer cookies, CancellationToken closed)
    {
        using var live = new ClientWebSocket();
        live.Options.Cookies = cookies;
        live.Options.SetRequestHeader("Origin", dsops.Http);
        try
        {
            await live.ConnectAsync(new Uri($"{dsops.Http.Replace("http", "ws", StringComparison.Ordinal)}/series/live?run={LoadRun.Name}"),
                closed);
            byte[] part = new byte[16_384];
            long last = Stopwatch.GetTimestamp();
            while ((await live.ReceiveAsync(part.AsMemory(), closed)).MessageType != WebSocketMessageType.Close)
            {
                calls.Took("charts: live, between two frames", Stopwatch.GetElapsedTime(last));
                last = Stopwatch.GetTimestamp();
            }

            calls.Fail("charts: live", "the socket was closed");
        }
        catch (Exception) when (closed.IsCancellationRequested)
        {
            // So was the page.
        }
        catch (WebSocketException e)
        {
            calls.Fail("charts: live", e.Message);
        }
    }
}
