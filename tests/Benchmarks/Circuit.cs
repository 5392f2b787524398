using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.RegularExpressions;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// An open page of the dashboard without a browser: it is loaded, its circuit is begun over a WebSocket as blazor.web.js does, and each
/// batch that the server draws is acknowledged; calls of JavaScript are answered with nothing. A run's page asks for its charts' points as
/// charts/board.js does.
/// </summary>
internal sealed partial class Circuit(Dsops dsops, Calls calls, string page) : IDisposable
{
    private const int Invocation = 1;
    private const int Completion = 3;
    private const int Ping = 6;
    private const int Close = 7;

    /// <summary>Of JSCallResultType: a reference to an object is wanted, such as a module.</summary>
    private const long WantsReference = 1;

    private static readonly string RunPage = $"/runs/{LoadRun.Name}";
    private static readonly string[] Pages = ["/", RunPage, "/cluster", "/incidents"];

    private readonly ClientWebSocket socket = new();
    private readonly List<byte> received = [];
    private long references;

    public static async Task Watch(Dsops dsops, Calls calls, int number, CancellationToken ending)
    {
        try
        {
            using var circuit = new Circuit(dsops, calls, Pages[number % Pages.Length]);
            await circuit.Run(ending);
        }
        catch (Exception) when (ending.IsCancellationRequested)
        {
            // The page was closed.
        }
        catch (Exception e) when (e is WebSocketException or HttpRequestException or IOException or InvalidOperationException)
        {
            calls.Fail($"page: {Pages[number % Pages.Length]}", e.Message);
        }
    }

    public void Dispose()
    {
        socket.Dispose();
        sending.Dispose();
    }

    private async Task Run(CancellationToken ending)
    {
        var cookies = new CookieContainer();
        using var http = new HttpClient(new SocketsHttpHandler { CookieContainer = cookies });
        string name = $"page: {page}";
        string html = await calls.Time($"{name}, loaded", () => http.GetStringAsync(new Uri(dsops.Open(page)), ending));
        var markers = Marker().Matches(html).Select(m => WebUtility.HtmlDecode(m.Groups[1].Value))
            .Where(m => m.Contains("\"type\":\"server\"", StringComparison.Ordinal)).ToArray();
        string state = State().Match(html).Groups[1].Value;
        socket.Options.Cookies = cookies;
        socket.Options.SetRequestHeader("Origin", dsops.Http);
        await socket.ConnectAsync(new Uri($"{dsops.Http.Replace("http", "ws", StringComparison.Ordinal)}/_blazor"), ending);
        await Send(Encoding.UTF8.GetBytes("{\"protocol\":\"blazorpack\",\"version\":1}\u001e"), ending);
        await Handshake(ending);
        await Invoke("0", "StartCircuit", ending, $"{dsops.Http}/", $"{dsops.Http}{page}", $"[{string.Join(',', markers)}]", state);
        using var closed = CancellationTokenSource.CreateLinkedTokenSource(ending);
        var charts = page == RunPage ? new PageCharts(dsops, calls).Follow(http, cookies, closed.Token) : Task.CompletedTask;
        using var pings = new Timer(_ => _ = Send([2, 0x91, Ping], CancellationToken.None), null, 10_000, 10_000);
        long last = Stopwatch.GetTimestamp();
        try
        {
            await foreach (object?[] message in Messages(ending))
            {
                last = await Take(name, message, last, ending);
            }

            calls.Fail(name, "the circuit ended");
        }
        finally
        {
            await closed.CancelAsync();
            await charts;
        }
    }

    private async Task<long> Take(string name, object?[] message, long last, CancellationToken ending)
    {
        switch (message)
        {
            case [(long)Invocation, _, _, "JS.RenderBatch", object?[] batch, ..]:
                calls.Took($"{name}, between two batches", Stopwatch.GetElapsedTime(last));
                await Invoke(null, "OnRenderCompleted", ending, batch[0], null);
                return Stopwatch.GetTimestamp();
            case [(long)Invocation, _, _, "JS.BeginInvokeJS", object?[] call, ..]:
                string result = call.Length > 3 && call[3] is WantsReference ? $$"""{"__jsObjectId":{{++references}}}""" : "null";
                await Invoke(null, "EndInvokeJSFromDotNet", ending, call[0], true,
                    string.Create(CultureInfo.InvariantCulture, $"[{call[0]},true,{result}]"));
                return last;
            case [(long)Invocation, _, _, "JS.Error", object?[] error, ..]:
                throw new InvalidOperationException($"the circuit broke: {error[0]}");
            case [(long)Completion, _, _, (long)1, var why, ..]:
                throw new InvalidOperationException($"the circuit was refused: {why}");
            case [(long)Close, ..]:
                throw new InvalidOperationException("the circuit was closed");
            default:
                return last;
        }
    }

    private async Task Invoke(string? id, string target, CancellationToken ending, params object?[] arguments)
    {
        var body = new PackWriter().Array(5).Value((long)Invocation).Map(0).Value(id).Value(target).Array(arguments.Length);
        Array.ForEach(arguments, argument => body.Value(argument));
        await Send(body.Framed(), ending);
    }

    private readonly SemaphoreSlim sending = new(1, 1);

    private async Task Send(byte[] bytes, CancellationToken ending)
    {
        await sending.WaitAsync(ending);
        try
        {
            await socket.SendAsync(bytes, WebSocketMessageType.Binary, endOfMessage: true, ending);
        }
        catch (WebSocketException)
        {
            // Whoever reads is told.
        }
        finally
        {
            sending.Release();
        }
    }

    /// <summary>"{}" and the mark of a record's end.</summary>
    private async Task Handshake(CancellationToken ending)
    {
        int end;
        while ((end = received.IndexOf(0x1e)) < 0)
        {
            await Receive(ending);
        }

        string answer = Encoding.UTF8.GetString([.. received[..end]]);
        received.RemoveRange(0, end + 1);
        if (answer != "{}")
        {
            throw new InvalidOperationException($"the handshake was answered with {answer}");
        }
    }

    private async IAsyncEnumerable<object?[]> Messages(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ending)
    {
        while (true)
        {
            int length = 0, head = 0;
            while (head < received.Count)
            {
                length |= (received[head] & 0x7f) << (7 * head);
                if (received[head++] < 0x80)
                {
                    break;
                }
            }

            if (head > 0 && received[head - 1] < 0x80 && received.Count >= head + length)
            {
                byte[] one = [.. received.GetRange(head, length)];
                received.RemoveRange(0, head + length);
                yield return new PackReader(one).Message();
            }
            else if (!await Receive(ending))
            {
                yield break;
            }
        }
    }

    private async Task<bool> Receive(CancellationToken ending)
    {
        byte[] part = new byte[16_384];
        var got = await socket.ReceiveAsync(part.AsMemory(), ending);
        received.AddRange(part.AsSpan(0, got.Count));
        return got.MessageType != WebSocketMessageType.Close;
    }

    [GeneratedRegex("<!--Blazor:(\\{.*?\\})-->")]
    private static partial Regex Marker();

    [GeneratedRegex("<!--Blazor-Server-Component-State:(.*?)-->")]
    private static partial Regex State();
}
