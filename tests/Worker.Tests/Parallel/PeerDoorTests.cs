using System.Net;
using System.Net.Sockets;
using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Parallel.Sockets;
using Google.Protobuf;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>Who is let in at a rank's door by its gang's token, seen from the network between the ranks.</summary>
public sealed class PeerDoorTests
{
    private const string Secret = "the gang's token, which nobody else knows";

    private static CancellationToken Ended => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_token_does_not_travel()
    {
        using var heard = new Wiretap();
        Meet(heard);
        byte[] said = await heard.Said();
        Assert.True(said.Length > 100, $"Only {said.Length} bytes were heard.");
        Assert.Equal(-1, said.AsSpan().IndexOf("the gang's token"u8));
        Assert.NotEqual(-1, said.AsSpan().IndexOf("test/0"u8));
    }

    [Fact]
    public async Task What_was_overheard_cannot_be_said_again()
    {
        using var heard = new Wiretap();
        using (var called = Meet(heard, keep: true)!)
        {
            using var again = await Connected(called.Port);
            await again.GetStream().WriteAsync(await heard.SaidByCaller(), Ended);
            Assert.NotNull(await RankFrames.Read(again.GetStream(), PeerChallenge.Parser, Ended));
            await IsClosed(again.GetStream());
        }
    }

    [Fact]
    public async Task Nobody_is_answered_with_his_own_words()
    {
        using var door = Door();
        using var mirror = await Connected(door.Port);
        var stream = mirror.GetStream();
        RankFrames.Write(stream, Hello());
        var challenge = await RankFrames.Read(stream, PeerChallenge.Parser, Ended);
        RankFrames.Write(stream, new PeerProof { Proof = challenge!.Proof });
        await IsClosed(stream);
    }

    /// <summary>Each part of what was said is proven: none can be changed on the way.</summary>
    [Fact]
    public void A_proof_stands_for_what_was_said_alone()
    {
        var hello = Hello();
        var greeting = new PeerGreeting(Secret, hello);
        var challenge = greeting.Challenge(PeerGreeting.Nonce(), 0);
        var proof = greeting.ProofOfCaller(challenge);
        Assert.True(greeting.IsAnsweredBy(challenge) && greeting.IsProvenBy(proof, challenge));
        foreach (var change in new Action<PeerHello>[]
        {
            h => h.Gang += "x", h => h.Term++, h => h.Group += "x", h => h.Rank++, h => h.Nonce = PeerGreeting.Nonce(),
        })
        {
            var other = hello.Clone();
            change(other);
            var changed = new PeerGreeting(Secret, other);
            Assert.False(changed.IsAnsweredBy(challenge));
            Assert.False(changed.IsProvenBy(proof, challenge));
        }
        Assert.False(greeting.IsProvenBy(proof, new PeerChallenge(challenge) { Rank = 1 }));
        Assert.False(greeting.IsProvenBy(proof, new PeerChallenge(challenge) { Nonce = PeerGreeting.Nonce() }));
        Assert.False(new PeerGreeting(Secret + "x", hello).IsProvenBy(proof, challenge));
    }

    [Fact]
    public async Task No_proof_but_the_right_one_is_taken()
    {
        using var door = Door();
        await Gen.Byte.Array[0, 64].SampleAsync(async forged =>
        {
            using var stranger = await Connected(door.Port);
            var stream = stranger.GetStream();
            RankFrames.Write(stream, Hello());
            Assert.NotNull(await RankFrames.Read(stream, PeerChallenge.Parser, Ended));
            RankFrames.Write(stream, new PeerProof { Proof = ByteString.CopyFrom(forged) });
            await IsClosed(stream);
        }, iter: 30, threads: 1);
    }

    /// <summary>A number that the caller did not draw long enough could have been drawn before.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(31)]
    [InlineData(33)]
    public void A_short_number_proves_nothing(int bytes)
    {
        var hello = new PeerHello(Hello()) { Nonce = ByteString.CopyFrom(new byte[bytes]) };
        var greeting = new PeerGreeting(Secret, hello);
        var challenge = greeting.Challenge(PeerGreeting.Nonce(), 0);
        Assert.False(greeting.IsProvenBy(greeting.ProofOfCaller(challenge), challenge));
        Assert.False(greeting.IsAnsweredBy(greeting.Challenge(hello.Nonce, 0)));
    }

    private static async Task IsClosed(NetworkStream stream)
    {
        try
        {
            Assert.Null(await RankFrames.Read(stream, PeerWelcome.Parser, Ended));
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            // It was closed while more was said.
        }
    }

    private static PeerHello Hello() => new() { Gang = "test/0", Term = 1, Group = "world", Rank = 1, Nonce = PeerGreeting.Nonce() };

    private static PeerDoor Door()
    {
        var door = new PeerDoor(IPAddress.Loopback);
        door.Form(Roster.Of("test/0", 1, Secret, [new(0, "127.0.0.1", door.Port), new(1, "127.0.0.1", 1)]), 0);
        return door;
    }

    private static async Task<TcpClient> Connected(int port)
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Ended);
        return client;
    }

    /// <summary>Two ranks meet, the higher one calling by way of the wiretap.</summary>
    private static PeerDoor? Meet(Wiretap heard, bool keep = false)
    {
        var (called, caller) = (new PeerDoor(IPAddress.Loopback), new PeerDoor(IPAddress.Loopback));
        heard.LeadsTo(called.Port);
        var roster = Roster.Of("test/0", 1, Secret, [new(0, "127.0.0.1", heard.Port), new(1, "127.0.0.1", caller.Port)]);
        var layout = new GangLayout(2, 1, 1, 1);
        using (var one = new SocketMesh(layout, 0, roster, called))
        using (var two = new SocketMesh(layout, 1, roster, caller))
        {
            var other = new Thread(() => two.Mesh.World.Barrier());
            other.Start();
            one.Mesh.World.Barrier();
            other.Join();
        }
        caller.Dispose();
        if (keep)
        {
            return called;
        }
        called.Dispose();
        return null;
    }

    /// <summary>The network between two ranks, which keeps what passes.</summary>
    private sealed class Wiretap : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly MemoryStream _caller = new();
        private readonly MemoryStream _called = new();
        private Task _passing = Task.CompletedTask;

        public Wiretap() => _listener.Start();

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void LeadsTo(int port) => _passing = Pass(port);

        public async Task<byte[]> Said()
        {
            await _passing;
            return [.. _caller.ToArray(), .. _called.ToArray()];
        }

        public async Task<byte[]> SaidByCaller()
        {
            await _passing;
            return _caller.ToArray();
        }

        public void Dispose() => _listener.Dispose();

        private async Task Pass(int port)
        {
            using var from = await _listener.AcceptTcpClientAsync(Ended);
            using var to = await Connected(port);
            // Once, while both are connected: one of them may close before the other's first byte.
            var (here, there) = (from.GetStream(), to.GetStream());
            await Task.WhenAll(Copy(here, there, _caller), Copy(there, here, _called));
        }

        private static async Task Copy(NetworkStream from, NetworkStream to, MemoryStream heard)
        {
            var bytes = new byte[4096];
            try
            {
                while (await from.ReadAsync(bytes, Ended) is > 0 and var count)
                {
                    heard.Write(bytes, 0, count);
                    await to.WriteAsync(bytes.AsMemory(0, count), Ended);
                }
                to.Socket.Shutdown(SocketShutdown.Send);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // One side closed.
            }
        }
    }
}
