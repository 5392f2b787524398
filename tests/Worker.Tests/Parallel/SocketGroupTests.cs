using System.Net;
using CsCheck;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Parallel.Sockets;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>Collective calls over sockets, held against sums that are written out.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class SocketGroupTests
{
    private static GangLayout Row(int ranks) => new(ranks, 1, 1, 1);

    /// <summary>Sizes on both sides of the direct way's limit, and such as no number of ranks divides.</summary>
    [Theory]
    [InlineData(2, 1)]
    [InlineData(2, 100_003)]
    [InlineData(3, 7)]
    [InlineData(3, 50_021)]
    [InlineData(5, 2)]
    [InlineData(8, 40_000)]
    public void What_is_reduced_is_the_sum_and_the_same_bits_on_every_rank(int ranks, int length)
    {
        var reduced = SocketRanks.Run(Row(ranks), (rank, mesh) =>
        {
            using var scope = NewDisposeScope();
            var (floats, halves, counts) = (Own(rank, length), Own(rank, 11).to(ScalarType.BFloat16), full(3, (long)rank));
            mesh.World.AllReduce([floats, halves, counts]);
            return (Floats: floats.data<float>().ToArray(), Halves: halves.to(ScalarType.Float32).data<float>().ToArray(),
                Counts: counts.data<long>().ToArray());
        });
        using var scope = NewDisposeScope();
        var sum = Enumerable.Range(0, ranks).Select(rank => Own(rank, length).to(float64)).Aggregate((a, b) => a + b);
        Assert.True((sum - tensor(reduced[0].Floats).to(float64)).abs().max().item<double>() < 1e-5);
        Assert.All(reduced, r => Assert.Equal(reduced[0].Floats, r.Floats));
        Assert.All(reduced, r => Assert.Equal(reduced[0].Halves, r.Halves));
        Assert.All(reduced, r => Assert.Equal(Enumerable.Repeat(ranks * (ranks - 1) / 2L, 3), r.Counts));
    }

    [Fact]
    public void A_sum_is_the_same_bits_in_every_run()
    {
        float[] Once() => SocketRanks.Run(Row(3), (rank, mesh) =>
        {
            using var scope = NewDisposeScope();
            var own = Own(rank, 30_000);
            mesh.World.AllReduce([own]);
            return own.data<float>().ToArray();
        })[0];
        Assert.Equal(Once(), Once());
    }

    [Fact]
    public void Each_rank_gets_its_part_of_the_sum()
    {
        var parts = SocketRanks.Run(Row(4), (rank, mesh) =>
        {
            using var scope = NewDisposeScope();
            return mesh.World.ReduceScatter(arange(8, float32).view(8, 1) * (rank + 1)).data<float>().ToArray();
        });
        Assert.Equal([[0, 10], [20, 30], [40, 50], [60, 70]], parts);
    }

    [Fact]
    public void Rows_go_to_whom_they_are_for_and_come_in_the_order_of_the_ranks()
    {
        Gen.Select(Gen.Int[2, 4], Gen.Int[0, 3].Array[16], Gen.Int[1, 3]).Sample((ranks, counts, width) =>
        {
            long Count(int from, int to) => counts[(from * ranks) + to];
            var got = SocketRanks.Run(Row(ranks), (rank, mesh) =>
            {
                using var scope = NewDisposeScope();
                long[] sent = [.. Enumerable.Range(0, ranks).Select(to => Count(rank, to))];
                long[] received = [.. Enumerable.Range(0, ranks).Select(from => Count(from, rank))];
                var rows = Enumerable.Range(0, ranks)
                    .SelectMany(to => Enumerable.Repeat((float)((rank * 10) + to), (int)Count(rank, to) * width)).ToArray();
                var arrived = mesh.World.AllToAll(tensor(rows).view(rows.Length / width, width), sent, received);
                return arrived.shape[0] == 0 ? [] : arrived.data<float>().ToArray();
            });
            for (var rank = 0; rank < ranks; rank++)
            {
                var own = rank;
                Assert.Equal(
                    Enumerable.Range(0, ranks)
                        .SelectMany(from => Enumerable.Repeat((float)((from * 10) + own), (int)Count(from, own) * width)), got[rank]);
            }
        }, iter: 20, threads: 1);
    }

    [Fact]
    public void Everybody_gets_what_one_has()
    {
        for (var ranks = 2; ranks <= 6; ranks++)
        {
            for (var from = 0; from < ranks; from++)
            {
                var told = SocketRanks.Run(Row(ranks), (rank, mesh) =>
                {
                    using var scope = NewDisposeScope();
                    var own = full(5, (float)rank);
                    mesh.World.Broadcast(own, from);
                    return (own.data<float>()[4], mesh.World.Broadcast(rank + 7),
                        mesh.World.AllGather(full(1, (long)rank)).data<long>().ToArray());
                });
                Assert.All(told, t => Assert.Equal((from, 7), (t.Item1, t.Item2)));
                Assert.All(told, t => Assert.Equal(Enumerable.Range(0, ranks).Select(r => (long)r), t.Item3));
            }
        }
    }

    /// <summary>Far more than a connection holds: whoever sends first must not wait for the other, which sends first too.</summary>
    [Fact]
    public void Two_ranks_that_both_send_first_meet()
    {
        const int Large = 8_000_000;
        var got = SocketRanks.Run(Row(2), (rank, mesh) =>
        {
            using var scope = NewDisposeScope();
            mesh.World.Send(full(Large, (float)rank), 1 - rank);
            mesh.World.Send(full(3, rank + 0.5f), 1 - rank);
            var (large, small) = (empty(Large), empty(3));
            mesh.World.Receive(large, 1 - rank);
            mesh.World.Receive(small, 1 - rank);
            return (large[Large - 1].item<float>(), small[0].item<float>());
        });
        Assert.Equal([(1f, 1.5f), (0f, 0.5f)], got);
    }

    /// <summary>32 MiB are more than two sockets hold: they are still on their way when the sum begins.</summary>
    [Fact]
    public void A_sum_behind_something_sent_does_not_mix_with_it()
    {
        var first = new TaskCompletionSource<Calls>();
        var got = SocketRanks.Run(Row(2), (rank, mesh) =>
        {
            using var scope = NewDisposeScope();
            var sum = full(3, rank + 10f);
            mesh.World.Barrier(); // they are connected
            var made = mesh.Calls.Made;
            if (rank == 0)
            {
                mesh.World.Send(full(8 << 20, 5f), 1);
                first.SetResult(mesh.Calls);
                mesh.World.AllReduce([sum]);
                return sum.mean().ToDouble();
            }
            var received = zeros(8 << 20);
            SpinWait.SpinUntil(() => first.Task.IsCompleted && first.Task.Result.Made == made + 2);
            mesh.World.Receive(received, 0);
            mesh.World.AllReduce([sum]);
            return received.eq(5f).all().item<bool>() ? sum.mean().ToDouble() : double.NaN;
        });
        Assert.Equal([21, 21], got);
    }

    [Fact]
    public void Each_rank_counts_the_same_calls()
    {
        var made = SocketRanks.Run(new GangLayout(4, 2, 1, 2), (rank, mesh) =>
        {
            mesh.World.Barrier();
            mesh.Data.Broadcast(1);
            mesh.Pipeline.Barrier();
            return mesh.Calls.Made;
        });
        Assert.All(made, m => Assert.Equal(3, m));
    }

    [Fact]
    public void A_call_that_waits_ends_when_somebody_aborts_it()
    {
        using var waiting = new CountdownEvent(1);
        var failed = Assert.Throws<AggregateException>(() => SocketRanks.Run(Row(2), (rank, mesh) =>
        {
            if (rank == 0)
            {
                // The other rank never comes; it says when this one has had the time to wait.
                waiting.Signal();
                mesh.World.Barrier();
                return 0;
            }
            waiting.Wait(TestContext.Current.CancellationToken);
            throw new InvalidOperationException("enough");
        }));
        Assert.Contains(failed.InnerExceptions,
            e => e is CollectiveAbortedException && e.Message.Contains("rank 1 failed", StringComparison.Ordinal));
    }

    [Fact]
    public void Who_waits_for_a_rank_that_is_gone_is_told_which()
    {
        using var doors = new Doors(2);
        using var first = new SocketMesh(Row(2), 0, doors.Roster, doors[0]);
        var second = new SocketMesh(Row(2), 1, doors.Roster, doors[1]);
        Exception? seen = null;
        var waits = new Thread(() => seen = Record.Exception(() =>
        {
            first.Mesh.World.Barrier();
            first.Mesh.World.Barrier();
        }));
        waits.Start();
        second.Mesh.World.Barrier();
        second.Dispose();
        waits.Join();
        Assert.Equal(1, Assert.IsType<PeerLostException>(seen).Rank);
    }

    [Fact]
    public void A_rank_that_never_comes_is_named_after_the_limit()
    {
        using var doors = new Doors(2);
        using var alone = new SocketMesh(Row(2), 0, doors.Roster, doors[0], TimeSpan.FromMilliseconds(50));
        var seen = Assert.Throws<PeerLostException>(() => alone.Mesh.World.Barrier());
        Assert.Equal((1, true), (seen.Rank, seen.Message.Contains("was not met", StringComparison.Ordinal)));
    }

    /// <summary>The fence: a rank of an older forming finds every door closed, with the reason.</summary>
    [Fact]
    public void A_rank_of_an_older_term_is_refused()
    {
        using var doors = new Doors(2);
        using var newer = new SocketMesh(Row(2), 0, doors.Roster with { Term = 2 }, doors[0]);
        using var older = new SocketMesh(Row(2), 1, doors.Roster, doors[1]);
        var seen = Assert.Throws<PeerLostException>(() => older.Mesh.World.Barrier());
        Assert.Contains("term 1 is over; this is term 2", seen.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Ranks_of_two_tokens_do_not_meet()
    {
        using var doors = new Doors(2);
        using var real = new SocketMesh(Row(2), 0, doors.Roster, doors[0]);
        using var forged = new SocketMesh(Row(2), 1, doors.Roster with { Token = "guess" }, doors[1]);
        var seen = Assert.Throws<PeerLostException>(() => forged.Mesh.World.Barrier());
        Assert.Contains("does not know the gang's token", seen.Message, StringComparison.Ordinal);
    }

    /// <summary>Whatever arrives at the door: it stays open for the gang.</summary>
    [Fact]
    public void A_stranger_at_the_door_disturbs_nobody()
    {
        using var doors = new Doors(2);
        Gen.Byte.Array[0, 200].Sample(noise =>
        {
            using var stranger = new System.Net.Sockets.TcpClient();
            stranger.Connect(IPAddress.Loopback, doors[0].Port);
            stranger.GetStream().Write(noise);
        }, iter: 30, threads: 1);
        using var first = new SocketMesh(Row(2), 0, doors.Roster, doors[0]);
        using var second = new SocketMesh(Row(2), 1, doors.Roster, doors[1]);
        var other = new Thread(() => second.Mesh.World.Barrier());
        other.Start();
        first.Mesh.World.Barrier();
        other.Join();
    }

    /// <summary>As a pod tells it: an address of IPv6, or a name that leads to one of either kind.</summary>
    [Theory]
    [InlineData("::1", "::1", "::1")]
    [InlineData("node-7.gang", "127.0.0.1", "127.0.0.1")]
    [InlineData("node-7.gang", "::1", "127.0.0.1")]
    [InlineData("node-7.gang", "localhost", "localhost")]
    public void Ranks_meet_on_addresses_of_either_kind(string told, string first, string second)
    {
        Assert.SkipUnless(System.Net.Sockets.Socket.OSSupportsIPv6, "This machine has no IPv6.");
        var doors = Enumerable.Range(0, 2).Select(_ => new PeerDoor(RankEntry.PeerAddress(told))).ToList();
        var roster = Roster.Of("test/0", 1, "secret", [new(0, first, doors[0].Port), new(1, second, doors[1].Port)]);
        using (var one = new SocketMesh(Row(2), 0, roster, doors[0]))
        using (var two = new SocketMesh(Row(2), 1, roster, doors[1]))
        {
            var other = new Thread(() => two.Mesh.World.Barrier());
            other.Start();
            one.Mesh.World.Barrier();
            other.Join();
        }

        doors.ForEach(d => d.Dispose());
    }

    private static Tensor Own(int rank, int length) => (arange(length, float32) * 0.37f * (rank + 1)).sin();

    private sealed class Doors(int count) : IDisposable
    {
        private readonly List<PeerDoor> _doors = [.. Enumerable.Range(0, count).Select(_ => new PeerDoor(IPAddress.Loopback))];

        public Roster Roster => SocketRanks.RosterOf(_doors);

        public PeerDoor this[int rank] => _doors[rank];

        public void Dispose() => _doors.ForEach(d => d.Dispose());
    }
}
