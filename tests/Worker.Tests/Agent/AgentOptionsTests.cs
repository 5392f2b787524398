using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class AgentOptionsTests
{
    [Theory]
    [InlineData("--gang")]
    [InlineData("--attempt")]
    public void The_gang_is_read_by_its_name_and_by_its_earlier_one(string name)
    {
        var (options, problems) = AgentOptions.Parse(
            ["--node", "node-0", "--run", "r", "--stage", "s", name, "3", "--pod-dir", "pod", "--control", "http://127.0.0.1:1"]);
        Assert.Empty(problems);
        Assert.Equal(3, options!.Attempt);
    }

    [Fact]
    public void A_gang_that_is_missing_is_named()
    {
        var (options, problems) =
            AgentOptions.Parse(["--node", "n", "--run", "r", "--stage", "s", "--pod-dir", "p", "--control", "http://a"]);
        Assert.Null(options);
        Assert.Equal(["--gang is missing."], problems);
    }

    [Theory]
    [InlineData("http://a:1", 0, "http://a:1")]
    [InlineData("http://a:1", 7, "http://a:1")]
    [InlineData("http://a:1, http://b:2", 0, "http://a:1")]
    [InlineData("http://a:1, http://b:2", 1, "http://b:2")]
    [InlineData("http://a:1, http://b:2", 2, "http://a:1")]
    [InlineData(",", 3, ",")]
    public void Of_several_control_planes_the_next_is_asked_after_each_that_did_not_answer(string addresses, int turn, string asked) =>
        Assert.Equal(asked, ControlAddresses.At(addresses, turn));

    [Theory]
    [InlineData(null, "127.0.0.1")]
    [InlineData("", "127.0.0.1")]
    [InlineData("10.1.2.3", "10.1.2.3")]
    [InlineData("fd00::7", "fd00::7")]
    [InlineData("fe80::7%1", "fe80::7%1")]
    public void Ranks_listen_where_others_are_told_that_they_are(string? host, string address) =>
        Assert.Equal(System.Net.IPAddress.Parse(address), RankEntry.PeerAddress(host));

    [Fact]
    public void Where_others_are_told_a_name_ranks_listen_on_every_address() =>
        Assert.Equal(System.Net.Sockets.Socket.OSSupportsIPv6 ? System.Net.IPAddress.IPv6Any : System.Net.IPAddress.Any,
            RankEntry.PeerAddress("node-7.gang"));
}
