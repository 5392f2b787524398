using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Google.Protobuf;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>
/// Where the other ranks of a gang reach this one. It stands open before the gang is formed, so that its port can be told; who comes
/// before the roster has arrived here waits for it.
/// </summary>
public sealed class PeerDoor : IDisposable
{
    /// <summary>A connection that does not say who it is by then is closed; as on the rank link.</summary>
    private static readonly TimeSpan HelloTime = TimeSpan.FromSeconds(10);

    private readonly TcpListener _listener;
    private readonly ConcurrentDictionary<(long Term, string Group, int Rank), TaskCompletionSource<Socket>> _arrivals = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _forming = new();
    private TaskCompletionSource _formed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private (Roster Roster, int Rank)? _formedAs;

    public PeerDoor(IPAddress address)
    {
        _listener = new TcpListener(address, 0);
        if (address.Equals(IPAddress.IPv6Any))
        {
            // Callers find this rank by a name: which kind of address that leads them to is not known here.
            _listener.Server.DualMode = true;
        }

        _listener.Start(backlog: 512);
        _ = Accept();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>From now on ranks of this forming are let in, and those of older ones refused.</summary>
    public void Form(Roster roster, int rank)
    {
        lock (_forming)
        {
            if (_formedAs is var (before, _) && roster.Term <= before.Term)
            {
                throw new InvalidOperationException($"Term {roster.Term} of {roster.Gang} is not newer than {before.Term}.");
            }
            _formedAs = (roster, rank);
            _formed.SetResult();
            _formed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>The connection to another rank of the gang for one of its groups. Of two ranks the higher one calls.</summary>
    /// <exception cref="PeerLostException">It is not there, or does not call within the limit.</exception>
    internal PeerLink LinkTo(int peer, int own, string group, Calls calls, TimeSpan limit)
    {
        var roster = Formed();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        ended.CancelAfter(limit);
        calls.WhenAborted(() => Cancel(ended));
        try
        {
            var socket = own > peer ? Call(roster, peer, own, group, ended.Token).GetAwaiter().GetResult()
                : Arrival(roster.Term, group, peer).Task.WaitAsync(ended.Token).GetAwaiter().GetResult();
            return new PeerLink(peer, socket);
        }
        catch (Exception e) when (e is SocketException or IOException and not PeerLostException or OperationCanceledException)
        {
            calls.ThrowIfAborted();
            throw new PeerLostException(peer,
                e is OperationCanceledException ? $"was not met within {limit.TotalSeconds:0} s" : $"cannot be reached ({e.Message})", e);
        }
    }

    public void Dispose()
    {
        _closing.Cancel();
        _listener.Dispose();
        foreach (var arrival in _arrivals.Values.Where(a => a.Task.IsCompletedSuccessfully))
        {
            arrival.Task.Result.Dispose();
        }
        _closing.Dispose();
    }

    private static void Cancel(CancellationTokenSource ended)
    {
        try
        {
            ended.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The call that was to be woken is over.
        }
    }

    private Roster Formed()
    {
        lock (_forming)
        {
            return _formedAs?.Roster ?? throw new InvalidOperationException("The gang is not formed.");
        }
    }

    private TaskCompletionSource<Socket> Arrival(long term, string group, int rank) =>
        _arrivals.GetOrAdd((term, group, rank), _ => new TaskCompletionSource<Socket>(TaskCreationOptions.RunContinuationsAsynchronously));

    private static async Task<Socket> Call(Roster roster, int peer, int own, string group, CancellationToken ended)
    {
        var member = roster.Members[peer];
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(member.Host, member.Port, ended);
            using var stream = new NetworkStream(socket, ownsSocket: false);
            var greeting = new PeerGreeting(roster.Token, new PeerHello
            {
                Gang = roster.Gang, Term = roster.Term, Group = group, Rank = own, Nonce = PeerGreeting.Nonce(),
            });
            RankFrames.Write(stream, greeting.Hello);
            if (await RankFrames.Read(stream, PeerChallenge.Parser, ended) is not { } challenge)
            {
                throw new PeerLostException(peer, "closed its connection at the greeting");
            }
            if (!greeting.IsAnsweredBy(challenge))
            {
                throw new PeerLostException(
                    peer, $"is not there: who answers at {member.Host}:{member.Port} does not know the gang's token");
            }
            RankFrames.Write(stream, greeting.ProofOfCaller(challenge));
            var answer = await RankFrames.Read(stream, PeerWelcome.Parser, ended);
            return answer is null ? throw new PeerLostException(peer, "closed its connection at the greeting")
                : answer.Refused.Length > 0 ? throw new PeerLostException(peer, $"refused the connection: {answer.Refused}")
                : challenge.Rank != peer ? throw new PeerLostException(
                    peer, $"is not there: rank {challenge.Rank} answers at {member.Host}:{member.Port}") : socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task Accept()
    {
        try
        {
            while (true)
            {
                _ = Admit(await _listener.AcceptSocketAsync(_closing.Token));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // The rank ends.
        }
    }

    private async Task Admit(Socket socket)
    {
        var kept = false;
        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: false);
            if (await Heard(stream, PeerHello.Parser) is not { } hello)
            {
                return;
            }
            var (roster, rank) = await RosterOf(hello.Term);
            var greeting = new PeerGreeting(roster.Token, hello);
            var challenge = greeting.Challenge(PeerGreeting.Nonce(), rank);
            RankFrames.Write(stream, challenge);
            if (await Heard(stream, PeerProof.Parser) is not { } proof || !greeting.IsProvenBy(proof, challenge))
            {
                return;
            }
            string refused = WhyNot(hello, roster);
            RankFrames.Write(stream, new PeerWelcome { Refused = refused });
            kept = refused.Length == 0 && Arrival(hello.Term, hello.Group, hello.Rank).TrySetResult(socket);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // It closes; a rank of the gang that still wants to come says so where it calls.
        }
        finally
        {
            if (!kept)
            {
                socket.Dispose();
            }
        }
    }

    private async Task<T?> Heard<T>(NetworkStream stream, MessageParser<T> parser)
        where T : class, IMessage<T>
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        patience.CancelAfter(HelloTime);
        return await RankFrames.Read(stream, parser, patience.Token);
    }

    private static string WhyNot(PeerHello hello, Roster roster) =>
        hello.Gang != roster.Gang ? $"this is gang {roster.Gang}, not {hello.Gang}"
        : hello.Term < roster.Term ? $"term {hello.Term} is over; this is term {roster.Term}"
        : hello.Rank < 0 || hello.Rank >= roster.Members.Length
            ? $"the gang has ranks 0 to {roster.Members.Length - 1}, not {hello.Rank}" : "";

    /// <summary>Who says a term that this rank was not told of yet may be early. He is not let wait longer than he would himself.</summary>
    private async Task<(Roster Roster, int Rank)> RosterOf(long term)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        patience.CancelAfter(SocketMesh.Limit);
        while (true)
        {
            Task formed;
            lock (_forming)
            {
                if (_formedAs is { } own && term <= own.Roster.Term)
                {
                    return own;
                }
                formed = _formed.Task;
            }
            await formed.WaitAsync(patience.Token);
        }
    }
}
