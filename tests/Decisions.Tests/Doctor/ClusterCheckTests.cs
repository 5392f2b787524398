using System.Collections.Immutable;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Decisions.Pods;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Doctor;

/// <summary>An API server's answers, a store's, and what people wrote.</summary>
public sealed class ClusterCheckTests
{
    private static readonly PodSettings Settings = new()
    {
        NodeLabels = ImmutableDictionary<string, string>.Empty.Add("pool", "training"),
    };

    private static readonly NodeFacts Node = new(
        "n-1", Settings.NodeLabels, Unschedulable: false, [], [new NodeCondition("Ready", "True", "")], 8, "boot");

    private static readonly ClusterFacts Well = new("https://api:6443")
    {
        Version = "v1.33.1", Clock = new ClockOffset(TimeSpan.Zero, TimeSpan.FromSeconds(1)),
        Rights = [.. ClusterRights.Used.Select(r => new RightSeen(r, true))], Definition = ["v1"], DefinitionHasStatus = true,
        Nodes = [Node], Trial = new TrialPod(8, "", 0), Claims = [new ClaimSeen("dsops-shared", true, "Bound")],
        Groups = ["scheduling.k8s.io/v1"],
    };

    [Fact]
    public void A_cluster_that_is_well_has_nothing_to_be_done_about() =>
        Assert.All(Of(Well), f => Assert.Equal(FindingLevel.Ok, f.Level));

    [Fact]
    public void What_a_server_does_not_tell_is_not_known_and_never_ok() => Assert.Equal(
        ["clock.cluster", "cluster.definition", "cluster.nodes", "cluster.pods", "cluster.rights", "cluster.version", "cluster.volumes"],
        Of(new ClusterFacts("https://api:6443") { Claims = [new ClaimSeen("a", null, "")] })
            .Where(f => f.Level == FindingLevel.NotKnown).Select(f => f.Check).Order(StringComparer.Ordinal));

    [Fact]
    public void A_server_that_does_not_answer_is_all_that_is_told() => Told.Is(FindingLevel.Fault, "no answer within 5 s",
        [Assert.Single(Of(Well with { Trouble = "no answer within 5 s" }))], "cluster.api");

    [Fact]
    public void A_right_that_is_missing_is_named_with_what_it_is_for()
    {
        var seen = Well with { Rights = [.. Well.Rights.Select(r => r with { Allowed = r.Right.Resource != "pods/log" })] };
        Told.Is(FindingLevel.Fault, "may not get pods/log in namespace dsops (for: the last words of a pod that ended)", Of(seen),
            "cluster.rights");
        seen = Well with { Rights = [.. Well.Rights.Select(r => r with { Allowed = r.Right.EverywhereAsked ? false : true })] };
        Told.Is(FindingLevel.Fault, "may not list, watch nodes in the cluster", Of(seen).Take(4), "cluster.rights");
    }

    [Theory]
    [InlineData("", false, "its CRD is missing")]
    [InlineData("v1alpha1", true, "served as v1alpha1, and v1 is used")]
    [InlineData("v1", false, "no status of its own")]
    public void A_definition_that_is_missing_or_another_is_a_fault(string served, bool status, string words) =>
        Told.Is(FindingLevel.Fault, words, Of(Well with { Definition = served.Length == 0 ? [] : [served], DefinitionHasStatus = status }),
            "cluster.definition");

    [Fact]
    public void Nodes_are_counted_with_what_keeps_them_from_us()
    {
        Told.Is(FindingLevel.Fault, "no nodes", Of(Well with { Nodes = [] }), "cluster.nodes");
        Told.Is(FindingLevel.Fault, "kubectl label node NODE pool=training",
            Of(Well with { Nodes = [Node with { Labels = ImmutableDictionary<string, string>.Empty }] }), "cluster.nodes");
        Told.Is(FindingLevel.Fault, "has nvidia.com/gpu", Of(Well with { Nodes = [Node with { Gpus = 0 }] }), "cluster.nodes");
        Told.Is(FindingLevel.Fault, "none can be used", Of(Well with { Nodes = [Node with { Conditions = [] }] }), "cluster.nodes");
        Told.Is(FindingLevel.Warning, "1 of which", Of(Well with { Nodes = [Node, Node with { Name = "n-2", Unschedulable = true }] }),
            "cluster.nodes");
        Told.Is(FindingLevel.Ok, "1 node with pool=training, 8 GPUs", Of(Well), "cluster.nodes");
    }

    [Theory]
    [InlineData("pods \"a\" is forbidden: exceeded quota: none, requested: requests.nvidia.com/gpu=8, used: 0, limited: 0", 403,
        "cluster.quota", "limited: 0")]
    [InlineData("pods \"a\" is forbidden: maximum memory usage per Container is 1Gi", 403, "cluster.pods", "maximum memory")]
    [InlineData("namespaces \"dsops\" not found", 404, "cluster.namespace", "kubectl apply")]
    public void What_refuses_a_pod_says_so_in_its_own_words(string said, int code, string check, string words) =>
        Told.Is(FindingLevel.Fault, words, Of(Well with { Trial = new TrialPod(8, said, code) }), check);

    [Fact]
    public void A_quota_that_may_be_read_is_held_against_a_node_of_gpus()
    {
        Told.Is(FindingLevel.Fault, "leaves 4 of 16", Of(Well with { Quotas = [new QuotaSeen("team", 16, 12)] }), "cluster.quota");
        Assert.All(Of(Well with { Quotas = [new QuotaSeen("team", 16, 8)] }), f => Assert.Equal(FindingLevel.Ok, f.Level));
    }

    [Fact]
    public void Without_the_right_to_make_pods_nothing_is_known_of_quotas() => Assert.Equal(FindingLevel.NotKnown, Told.Of(
        Of(Well with { Trial = new TrialPod(8, "pods is forbidden: User \"x\" cannot create resource \"pods\"", 403) }),
        "cluster.pods").Level);

    [Fact]
    public void A_claim_that_is_missing_or_lost_is_named()
    {
        Told.Is(FindingLevel.Fault, "dsops-shared is not there", Of(Well with { Claims = [new ClaimSeen("dsops-shared", false, "")] }),
            "cluster.volumes");
        Told.Is(FindingLevel.Fault, "lost its volume", Of(Well with { Claims = [new ClaimSeen("dsops-shared", true, "Lost")] }),
            "cluster.volumes");
    }

    [Fact]
    public void A_clock_of_the_server_that_is_five_minutes_off_is_a_fault() => Told.Is(FindingLevel.Fault, "the API server is 5 min ahead",
        Of(Well with { Clock = new ClockOffset(TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(1)) }), "clock.cluster");

    [Fact]
    public void A_store_is_told_by_its_keys_its_bucket_and_its_clock()
    {
        var store = new StoreFacts("s3://b/p", "https://s3") { KeysIn = "the environment", Trouble = "", Clock = Well.Clock };
        Assert.All(StoreCheck.Of(store), f => Assert.Equal(FindingLevel.Ok, f.Level));
        Told.Is(FindingLevel.Fault, "no keys",
            StoreCheck.Of(store with { WithoutKeys = ("The workers would have no keys.", "Set them."), Trouble = null }), "store.keys");
        Told.Is(FindingLevel.Fault, "no such bucket",
            StoreCheck.Of(store with { Trouble = "s3://b/p: there is no such bucket", Fix = "Make it." }), "store.write");
        Told.Is(FindingLevel.NotKnown, "in a secret", StoreCheck.Of(store with { Trouble = null, NotTried = "its keys are in a secret" }),
            "store.write");
        Assert.Equal(FindingLevel.Ok, Assert.Single(StoreCheck.Of(new StoreFacts("", ""))).Level);
    }

    [Fact]
    public void Mistakes_of_a_settings_file_are_named_by_place_and_field()
    {
        var file = new WrittenFacts("settings.file", "cluster.yaml");
        Told.Is(FindingLevel.Fault, "cluster.yaml:3:7 spares: 'many' is no count",
            SettingsCheck.Of(file with { Problems = [new("cluster.yaml:3:7 spares", "'many' is no count.", "Write 4.", true)] }),
            "settings.file");
        Told.Is(FindingLevel.Fault, "cannot be read",
            SettingsCheck.Of(file with { Unreadable = ("cluster.yaml cannot be read", "Put it there.") }), "settings.file");
        Assert.Empty(SettingsCheck.Of(file with { Path = null }));
        Told.Is(FindingLevel.Warning, "chmod 600 /w", [SettingsCheck.Of(new SecretFacts("webhookFile", "/w", 0b110_100_100))],
            "settings.secrets");
        Told.Is(FindingLevel.Fault, "No such file",
            [SettingsCheck.Of(new SecretFacts("webhookFile", "/w", null) { Trouble = "No such file" })], "settings.secrets");
    }

    [Fact]
    public void A_diagnosis_is_as_bad_as_its_worst_and_counts_each_kind()
    {
        var all = new Diagnosis(
            [Finding.Ok("a", "x"), Finding.NotKnown("b", "x"), Finding.Warning("c", "x", "y"), Finding.Fault("d", "x", "y")]);
        Assert.Equal((FindingLevel.Fault, "1 fault, 1 warning, 1 not known, 1 ok"), (all.Worst, all.InWords));
        Assert.Equal(FindingLevel.Ok, new Diagnosis([]).Worst);
    }

    private static ImmutableArray<Finding> Of(ClusterFacts seen) => ClusterCheck.Of(seen, Settings, "v1");
}
