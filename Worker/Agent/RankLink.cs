using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>Where a rank finds its agent, handed over in its environment, which other users of the machine cannot read.</summary>
public sealed record RankLinkAddress(int Port, string Token)
{
    public const string PortVariable = "DSOPS_RANK_PORT";
    public const string TokenVariable = "DSOPS_RANK_TOKEN";

    /// <summary>Null where the process was not started by an agent.</summary>
    public static RankLinkAddress? FromEnvironment() =>
        int.TryParse(Environment.GetEnvironmentVariable(PortVariable), NumberStyles.None, CultureInfo.InvariantCulture, out int port)
        && Environment.GetEnvironmentVariable(TokenVariable) is { Length: > 0 } token
            ? new RankLinkAddress(port, token)
            : null;
}

/// <summary>The rank's side of the connection to its agent.</summary>
/// <remarks>
/// Reports are written synchronously: when <see cref="Report"/> returns the kernel has them, and a rank that is killed in the next
/// instant has still told what it did. A stopped agent makes the rank wait once some MB are on the way, which bounds memory.
/// </remarks>
public sealed class RankLink : IRankLink, IDisposable
{
    private readonly TcpClient _client;
    private readonly NetworkStream _stream;
    private readonly Action<string> _agentGone;
    private readonly Action<RankPrepare, IRankLink> _prepare;
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _closed = new();
    private readonly Channel<RankLaunch> _launches = Channel.CreateUnbounded<RankLaunch>();
    private volatile CancellationTokenSource _regrouping = new();
    private readonly Lock _writing = new();
    private volatile RankStop? _stop;
    private string? _saveReason;
    private RankFault? _fault;
    private volatile IReadOnlyList<long>? _pinned;
    private volatile TraceOrder? _trace;

    private RankLink(TcpClient client, Action<string> agentGone, Action<RankPrepare, IRankLink> prepare)
    {
        (_client, _prepare) = (client, prepare);
        _stream = client.GetStream();
        _agentGone = agentGone;
    }

    public RankStop? StopOrder => _stop;

    public CancellationToken Stopping => _stopping.Token;

    /// <param name="agentGone">Ends the process; called once when the agent's socket closes, with the reason.</param>
    /// <param name="prepare">Begins what a standby is to make ready, and returns at once.</param>
    public static RankLink Connect(RankLinkAddress address, Action<string> agentGone, Action<RankPrepare, IRankLink> prepare)
    {
        var client = new TcpClient { NoDelay = true };
        client.Connect(IPAddress.Loopback, address.Port);
        var link = new RankLink(client, agentGone, prepare);
        link.Report(new RankReport { Hello = new RankHello { Token = address.Token, Pid = Environment.ProcessId } });
        _ = link.ReadOrders();
        return link;
    }

    public void Report(RankReport report)
    {
        try
        {
            lock (_writing)
            {
                RankFrames.Write(_stream, report);
            }
        }
        catch (Exception e) when (e is IOException and not RankFrameException or ObjectDisposedException)
        {
            Gone(e.Message);
        }
    }

    public string? TakeSaveOrder() => Interlocked.Exchange(ref _saveReason, null);

    public RankFault? TakeFault() => Interlocked.Exchange(ref _fault, null);

    public CancellationToken Regrouping => _regrouping.Token;

    public IReadOnlyList<long>? Pinned => _pinned;

    public TraceOrder? Trace => _trace;

    /// <summary>What to train next; null where the agent has no work for this process any more.</summary>
    public async Task<RankLaunch?> Launch()
    {
        if (!await _launches.Reader.WaitToReadAsync() || !_launches.Reader.TryRead(out var launch))
        {
            return null;
        }

        // An order to leave was for the launch before. The old source is not disposed: the thread that reads orders may be at it.
        _regrouping = new CancellationTokenSource();
        return launch;
    }

    public void Dispose()
    {
        _closed.Cancel();
        _client.Dispose();
        _stopping.Dispose();
        _closed.Dispose();
        _regrouping.Dispose();
    }

    private async Task ReadOrders()
    {
        try
        {
            while (await RankFrames.Read(_stream, RankOrder.Parser, _closed.Token) is { } order)
            {
                Obey(order);
            }

            Gone("the agent closed the connection");
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            Gone(e.Message);
        }
    }

    private void Obey(RankOrder order) => order.Match<bool>(
        // An order of a newer agent. The two come from one build, so this is a broken installation.
        none: () => throw new RankFrameException("an order came that is not known here"),
        launch: launch => Did(() =>
        {
            // What was pinned until now stands in the launch itself.
            _pinned = null;
            _trace = null;
            _launches.Writer.TryWrite(launch);
        }),
        save: save => Did(() => Interlocked.Exchange(ref _saveReason, save.Reason)),
        stop: stop => Did(() =>
        {
            _stop = stop;
            _launches.Writer.TryComplete();
            _stopping.Cancel();
        }),
        regroup: _ => Did(() => _regrouping.Cancel()),
        fault: fault => Did(() => Interlocked.Exchange(ref _fault, fault)),
        pins: pins => Did(() => _pinned = [.. pins.Steps]),
        trace: trace => Did(() => _trace = trace),
        prepare: prepare => Did(() => _prepare(prepare, this)));

    private static bool Did(Action what)
    {
        what();
        return true;
    }

    private void Gone(string reason)
    {
        if (!_closed.IsCancellationRequested)
        {
            _agentGone(reason);
        }
    }
}
