using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Pods;

/// <summary>What a gang needs on Kubernetes: named by run, stage, gang and node, and nothing twice.</summary>
public sealed class GangObjectsTests
{
    private static readonly PodSettings Settings = new() { Image = "worker:1", ControlUrl = "https://dsops:5082" };

    private static readonly Gen<string> Name = Gen.String[Gen.Char["abcdefghij-0123456789._ABCXYZ"], 1, 80];

    private static readonly Gen<GangId> Gang =
        Gen.Select(Name, Name, Gen.Int[1, 100_000], (run, stage, number) => new GangId(new StageId(run, stage), number));

    [Fact]
    public void Each_name_is_a_host_name_and_no_two_gangs_or_nodes_share_one() => Gen.Select(Gang, Gang, Name, Name).Sample(
        (one, other, node, another) =>
        {
            string[] names = [GangNames.Of(one), GangNames.OfPod(one, new NodeId(node)), GangNames.OfPod(one, new NodeId(another))];
            Assert.All(names, n => Assert.Matches(@"\A[a-z]([a-z0-9-]{0,61}[a-z0-9])?\z", n));
            Assert.Equal(one == other, GangNames.Of(one) == GangNames.Of(other));
            Assert.Equal(node == another, names[1] == names[2]);
        });

    [Fact]
    public void A_hyphen_between_run_and_stage_does_not_make_two_gangs_one()
    {
        var one = new GangId(new StageId("a-b", "c"), 1);
        var other = new GangId(new StageId("a", "b-c"), 1);
        Assert.NotEqual(GangNames.Of(one), GangNames.Of(other));
        Assert.NotEqual(GangNames.OfPod(one, new NodeId("n")), GangNames.OfPod(other, new NodeId("n")));
    }

    [Fact]
    public void A_gang_is_read_back_from_what_it_is_marked_with() => Gang.Sample(gang => Assert.Equal(gang, GangNames.Read(
        new Dictionary<string, string>
        {
            [GangNames.Stage] = gang.Stage.ToString(),
            [GangNames.Number] = gang.Number.ToString(System.Globalization.CultureInfo.InvariantCulture),
        })));

    [Theory]
    [InlineData("run/stage", "x")]
    [InlineData("run/stage", "-1")]
    [InlineData("run", "1")]
    [InlineData("/stage", "1")]
    [InlineData("", "")]
    public void What_somebody_changed_is_no_gang_of_ours(string stage, string number) => Assert.Null(GangNames.Read(
        new Dictionary<string, string> { [GangNames.Stage] = stage, [GangNames.Number] = number }));

    [Fact]
    public void Whatever_is_there_already_the_rest_is_made_and_nothing_twice() =>
        Gen.Select(Gen.Int[1, 64], Gen.Int[0, int.MaxValue]).Sample((nodes, chosen) =>
        {
            var grant = Grant(nodes);
            var objects = GangObjects.Of(grant, Settings, node => $"token of {node}");
            var there = objects.Pods.Where((_, i) => (chosen >> (i % 31) & 1) == 1)
                .Select(p => new PodFacts("dsops", p.Name, "", grant.Id, p.Node.Name, "Failed", "", 1, 8)).ToList();
            var missing = objects.Missing(there);
            Assert.Equal(grant.Nodes.Order(By), missing.Select(p => p.Node).Concat(there.Select(p => new NodeId(p.Node))).Order(By));
            Assert.Equal(nodes, objects.Tokens.Count);
            Assert.Empty(objects.Missing(objects.Pods.Select(p => new PodFacts("", p.Name, "", grant.Id, "", "", "", null, 8))));
        });

    [Fact]
    public void A_pod_takes_a_GPU_per_rank_and_may_save_before_it_is_killed()
    {
        var settings = Settings with
        {
            SaveWithin = TimeSpan.FromMinutes(3),
            Resources = ImmutableDictionary<string, string>.Empty.Add("rdma/hca", "1"),
        };
        var pod = Assert.Single(GangObjects.Of(Grant(1), settings, _ => "").Pods);
        Assert.Equal(("8", "1"), (pod.Resources["nvidia.com/gpu"], pod.Resources["rdma/hca"]));
        Assert.True(pod.Grace > settings.SaveWithin);
        Assert.Equal("180s", pod.Arguments[pod.Arguments.IndexOf("--save-within") + 1]);
        Assert.Equal("https://dsops:5082", pod.Arguments[pod.Arguments.IndexOf("--control") + 1]);
    }

    private static readonly Comparer<NodeId> By = Comparer<NodeId>.Create((a, b) => string.CompareOrdinal(a.Name, b.Name));

    private static GangGrant Grant(int nodes) => new(new StageId("run", "pretrain"), 3,
        [.. Enumerable.Range(0, nodes).Select(i => new NodeId($"node-{i}"))], 8, DateTimeOffset.UnixEpoch);
}
