using System.Net;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Cli;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Parallel.Nccl;
using DeepSeekOps.Worker.Parallel.Sockets;
using DeepSeekOps.Worker.Tests.Model;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Parallel;

public sealed class NcclTests
{
    private const long Version = 22809;

    [Fact]
    public void Ranks_with_a_gpu_each_and_one_version_talk_by_nccl() =>
        Assert.Null(NcclChoice.WhyNot([new(Version, 11), new(Version, 12), new(Version, 13)]));

    [Theory]
    [InlineData(Version, 0, Version, 0, "no rank computes on a GPU")]
    [InlineData(Version, 11, Version, 0, "rank 1 computes on its processor")]
    [InlineData(Version, 11, Version, 11, "ranks 0 and 1 share a GPU")]
    [InlineData(Version, 11, 0, 12, "rank 1 finds no libnccl.so.2")]
    [InlineData(21403, 11, Version, 12, "rank 0 has NCCL 2.14.3, and 2.18.0 is the oldest")]
    [InlineData(22000, 11, Version, 12, "rank 1 has NCCL 2.28.9, rank 0 has 2.20.0")]
    public void Otherwise_all_of_them_say_why_they_talk_over_sockets(
        long version0, long gpu0, long version1, long gpu1, string why) =>
        Assert.Contains(why, NcclChoice.WhyNot([new(version0, gpu0), new(version1, gpu1)]), StringComparison.Ordinal);

    [Fact]
    public void A_gang_without_gpus_has_the_groups_of_its_sockets()
    {
        var layout = new GangLayout(2, 1, 1, 1);
        var doors = Enumerable.Range(0, 2).Select(_ => new PeerDoor(IPAddress.Loopback)).ToList();
        var roster = SocketRanks.RosterOf(doors);
        var carriers = new string[2];
        var threads = doors.Select((door, rank) => new Thread(() =>
        {
            using var mesh = new GangMesh(new SocketMesh(layout, rank, roster, door), layout, rank, CPU);
            using var one = ones(1);
            mesh.Mesh.World.AllReduce([one]);
            carriers[rank] = $"{mesh.Carrier}: {one.item<float>()}";
            mesh.Mesh.World.Barrier();
        })).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        doors.ForEach(d => d.Dispose());
        Assert.Equal(["sockets (no rank computes on a GPU): 2", "sockets (no rank computes on a GPU): 2"], carriers);
    }

    [Fact]
    public void Whoever_waits_on_its_gpu_learns_of_a_neighbour_that_is_gone()
    {
        var doors = Enumerable.Range(0, 2).Select(_ => new PeerDoor(IPAddress.Loopback)).ToList();
        var roster = SocketRanks.RosterOf(doors);
        var layout = new GangLayout(2, 1, 1, 1);
        using var own = new SocketMesh(layout, 0, roster, doors[0]);
        using var other = new SocketMesh(layout, 1, roster, doors[1]);
        var calling = new Thread(() =>
        {
            foreach (var link in other.Beside(1))
            {
                link.Dispose(); // as the kernel does for a rank that is killed
            }
        });
        calling.Start();
        using var watch = new NcclWatch(own.Beside(0), [], own.Mesh.Calls);
        calling.Join();
        using var ended = new ManualResetEventSlim();
        own.Mesh.Calls.WhenAborted(ended.Set);
        ended.Wait(TestContext.Current.CancellationToken);
        Assert.Equal(1, Assert.Throws<PeerLostException>(own.Mesh.Calls.Next).Rank);
        doors.ForEach(d => d.Dispose());
    }

    [Theory]
    [InlineData("dp=2")]
    [InlineData("ep=2")]
    [InlineData("pp=2")]
    [InlineData("pp=2,schedule=dualpipev")]
    public void On_two_gpus_a_gang_computes_what_transformers_computed(string layout)
    {
        Assert.SkipUnless(cuda.is_available() && cuda.device_count() > 1, "There are no two GPUs here.");
        var (output, errors) = (new StringWriter(), new StringWriter());
        var code = ModelVerbs.Run(
            ["check", ReferenceCheckTests.Fixture("v3-gang"), "--parallel", layout, "--device", "cuda", "--json"], output, errors);
        Assert.True(code == 0, $"{output}{errors}");
    }
}
