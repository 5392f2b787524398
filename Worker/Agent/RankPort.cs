using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>The loopback port where rank processes meet their agent. Only a process that knows a token is heard.</summary>
internal sealed class RankPort : IDisposable
{
    /// <summary>
    /// A connection that does not say who it is by then is closed. A rank says it in its first packet; ten seconds allow for a busy
    /// machine.
    /// </summary>
    private static readonly TimeSpan HelloTime = TimeSpan.FromSeconds(10);

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<string, RankProcess> _expected = new(StringComparer.Ordinal);
    private readonly ChannelWriter<AgentNews> _news;
    private readonly CancellationTokenSource _closing = new();

    public RankPort(ChannelWriter<AgentNews> news)
    {
        _news = news;
        _listener.Start();
        _ = Accept();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public void Expect(RankProcess process) => _expected[process.Token] = process;

    public void Dispose()
    {
        _closing.Cancel();
        _listener.Dispose();
        _closing.Dispose();
    }

    private async Task Accept()
    {
        try
        {
            while (true)
            {
                _ = Talk(await _listener.AcceptTcpClientAsync(_closing.Token));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The agent ends.
        }
    }

    private async Task Talk(TcpClient client)
    {
        using var connection = client;
        try
        {
            client.NoDelay = true;
            var stream = client.GetStream();
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
            patience.CancelAfter(HelloTime);
            var first = await RankFrames.Read(stream, RankReport.Parser, patience.Token);
            if (first?.Hello is not { } hello || !_expected.TryRemove(hello.Token, out var process))
            {
                _news.TryWrite(new AgentNews.Remark("a connection to the rank port did not say the token of a rank; closed"));
                return;
            }

            await process.Attach(stream, hello, _closing.Token);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The connection closes with it, and a rank whose connection closes ends itself: its end is what is acted upon.
            if (!_closing.IsCancellationRequested)
            {
                _news.TryWrite(new AgentNews.Remark($"rank link: {e.Message}"));
            }
        }
    }
}
