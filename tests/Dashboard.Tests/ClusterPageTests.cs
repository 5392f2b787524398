using System.Globalization;
using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.Cluster;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class ClusterPageTests : PageTest
{
    private static Cluster Full(int nodes = 256, int used = 128)
    {
        var cluster = new Cluster { Kind = "simulated", Simulated = true };
        for (int i = 0; i < nodes; i++)
        {
            var node = new Node { Name = string.Create(CultureInfo.InvariantCulture, $"node-{i:0000}"), State = "ready", Slots = 8 };
            node.Labels["deepseekops.io/leaf"] = string.Create(CultureInfo.InvariantCulture, $"leaf-{i / 32:000}");
            if (i < used)
            {
                node.SlotsUsed = 8;
                node.Work.Add(
                    new NodeWork
                    {
                        Run = "v3",
                        Stage = "pretrain",
                        Slots = 8,
                        State = "running",
                        Mfu = 0.345,
                        Ranks = { Enumerable.Repeat("training", 8) },
                    });
            }
            cluster.Nodes.Add(node);
        }
        return cluster;
    }

    [Fact]
    public void A_full_cluster_is_one_element_of_a_few_kilobytes_and_not_a_component_per_gpu()
    {
        var page = Render<ClusterPage>();
        Ops.Send("WatchCluster", Full());
        var heat = page.WaitForElement("ds-heat");

        string[] nodes = heat.GetAttribute("cells")!.Split(' ');
        Assert.Equal(256, nodes.Length);
        Assert.Equal("r" + string.Concat(Enumerable.Repeat("tA", 8)), nodes[0]);
        Assert.Equal("r" + string.Concat(Enumerable.Repeat(".-", 8)), nodes[^1]);
        Assert.InRange(heat.GetAttribute("cells")!.Length, 1, 5_000);
        Assert.True(page.FindAll("*").Count < 200, $"{page.FindAll("*").Count} elements");
        Assert.Contains("1,024", page.Find("[data-count=training]").TextContent, StringComparison.Ordinal);
        Assert.Contains("simulated", page.Find(".ds-head .simulated").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void A_broken_node_shows_on_the_map_in_the_legend_and_below_it()
    {
        var page = Render<ClusterPage>();
        Ops.Send("WatchCluster", Full());
        page.WaitForElement("ds-heat");
        var broken = Full();
        broken.Nodes[7].State = "not-ready";
        broken.Nodes[7].Reason = "simulated: faulty GPU";
        broken.Nodes[7].Work[0].Ranks[2] = "exited";
        Ops.Send("WatchCluster", broken);

        page.WaitForAssertion(
            () => Assert.StartsWith("ntAtAxA", page.Find("ds-heat").GetAttribute("cells")!.Split(' ')[7], StringComparison.Ordinal));
        Assert.Contains("not ready", page.Find("[data-count=not-ready]").TextContent, StringComparison.Ordinal);
        Assert.Contains("faulty GPU", page.Find("[data-node=node-0007]").TextContent, StringComparison.Ordinal);
        string free = page.Find("[data-count=free]").TextContent;

        // What was lost there is free for nobody.
        broken.Nodes[7].Work.Clear();
        broken.Nodes[7].SlotsUsed = 0;
        Ops.Send("WatchCluster", broken);
        page.WaitForAssertion(
            () => Assert.StartsWith("no-o-", page.Find("ds-heat").GetAttribute("cells")!.Split(' ')[7], StringComparison.Ordinal));
        Assert.Equal(free, page.Find("[data-count=free]").TextContent);
        Assert.Contains("Unused", page.Find("[data-node=node-0007]").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void A_drain_is_asked_for_once_more_and_then_sent_with_its_reason()
    {
        Ops.Answer<NodeCommand, Node>("DrainNode", command => new Node { Name = command.Name, State = "cordoned" });
        Navigation.NavigateTo("/cluster?node=node-0003");
        var page = Render<ClusterPage>();
        Ops.Send("WatchCluster", Full());
        page.WaitForElement("[data-node-panel=node-0003] .ds-field input");
        Act(page, () => page.Find("[data-node-panel=node-0003] .ds-field input").Change("a fan is loud"));

        Act(page, () => page.Find("[data-act=Drain]").Click());
        Assert.DoesNotContain(Ops.Calls, c => c.Method == "DrainNode");
        page.WaitForElement("[data-sure]");
        Act(page, () => page.Find("[data-sure]").Click());

        page.WaitForAssertion(() => Assert.Contains("cordoned", page.Find("[data-told]").TextContent, StringComparison.Ordinal));
        var sent = Assert.IsType<NodeCommand>(Assert.Single(Ops.Calls, c => c.Method == "DrainNode").Request);
        Assert.Equal(("node-0003", "a fan is loud"), (sent.Name, sent.Reason));
    }

    [Fact]
    public void A_refused_command_says_why_and_a_real_node_cannot_be_killed()
    {
        Ops.Refuse("CordonNode", StatusCode.NotFound, "There is no node named node-0003.");
        Navigation.NavigateTo("/cluster?node=node-0003");
        var page = Render<ClusterPage>();
        var real = Full();
        real.Simulated = false;
        Ops.Send("WatchCluster", real);

        page.WaitForElement("[data-act=Cordon]");
        Act(page, () => page.Find("[data-act=Cordon]").Click());
        page.WaitForElement("[data-sure]");
        Act(page, () => page.Find("[data-sure]").Click());

        page.WaitForAssertion(() => Assert.Contains("no node named", page.Find("[data-told]").TextContent, StringComparison.Ordinal));
        Assert.Empty(page.FindAll("[data-act=Kill]"));
    }

    [Fact]
    public void Who_waits_stands_there_with_the_reason()
    {
        var page = Render<ClusterPage>();
        var cluster = Full();
        cluster.Waiting.Add(
            new WaitingGang
            {
                Run = "v4",
                Stage = "pretrain",
                Nodes = 200,
                SlotsPerNode = 8,
                Since = Noon,
                Reason = "needs 200 nodes, 128 are free",
            });
        Ops.Send("WatchCluster", cluster);

        Assert.Contains("128 are free", page.WaitForElement("[data-waiting=v4]").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void A_waiting_gang_shows_reasons_start_and_ways_and_a_preemption_is_asked_for_once_more()
    {
        Ops.Answer<GiveWayRequest, Cluster>("GiveWay", _ => Full());
        Ops.Answer<MoveWaitingGangRequest, Cluster>("MoveWaitingGang", _ => Full());
        var page = Render<ClusterPage>();
        var cluster = Full();
        cluster.Spares = 4;
        cluster.SparesFree = 3;
        cluster.Maintenance.Add(
            new Maintenance { Name = "firmware", Nodes = { "node-0001" }, From = Noon, Until = Noon, Reason = "switches" });
        cluster.Waiting.Add(Waiting("v4"));
        cluster.Waiting.Add(Waiting("v5"));
        Ops.Send("WatchCluster", cluster);

        var second = page.WaitForElement("[data-waiting=v5]");
        Assert.Equal("quota", second.QuerySelector(".binding")!.GetAttribute("data-reason-kind"));
        Assert.Contains("by the plan", second.QuerySelector("[data-start]")!.TextContent, StringComparison.Ordinal);
        Assert.Equal("/submit?clone=v5&stage=pretrain&nodes=64", second.QuerySelector("[data-way=fewer-nodes] a")!.GetAttribute("href"));
        Assert.Contains("3 of 4", page.Find("[data-fact=spares]").TextContent, StringComparison.Ordinal);
        Assert.Contains("switches", page.Find("[data-maintenance=firmware]").TextContent, StringComparison.Ordinal);
        Act(page, () => page.Find("[data-waiting=v5] [data-way=preempt] button").Click());
        Assert.DoesNotContain(Ops.Calls, c => c.Method == "GiveWay");
        page.WaitForElement("[data-waiting=v5] [data-sure]");
        Act(page, () => page.Find("[data-waiting=v5] [data-sure]").Click());
        page.WaitForAssertion(
            () => Assert.Contains("asked to save", page.Find("[data-waiting=v5] [data-told]").TextContent, StringComparison.Ordinal));
        var sent = Assert.IsType<GiveWayRequest>(Assert.Single(Ops.Calls, c => c.Method == "GiveWay").Request);
        Assert.Equal(("v3/pretrain", "v5/pretrain"), (sent.Gangs[0], sent.For));

        Ops.Answer<ForeseeRequest, Foresight>("Foresee",
            _ => new Foresight { Consequences = { "v5/pretrain starts at once on node-0001." } });
        Act(page, () => page.Find("[data-waiting=v5] [data-first]").Click());
        page.WaitForAssertion(
            () => Assert.Contains("starts at once", page.Find("[data-waiting=v5] [data-consequences]").TextContent,
                StringComparison.Ordinal));
        Assert.Contains(Ops.Calls, c => c.Request is ForeseeRequest { Action: "move" } asked && asked.Gangs.SequenceEqual(["v5/pretrain"]));
        Assert.DoesNotContain(Ops.Calls, c => c.Method == "MoveWaitingGang");
        Act(page, () => page.Find("[data-waiting=v5] [data-sure]").Click());
        page.WaitForAssertion(() => Assert.Single(Ops.Calls, c => c.Method == "MoveWaitingGang"));
        Assert.Empty(page.FindAll("[data-waiting=v4] [data-first]"));
    }

    [Fact]
    public void What_would_be_of_no_use_is_said_and_its_button_is_not_offered()
    {
        Ops.Answer<ForeseeRequest, Foresight>("Foresee",
            _ => new Foresight { Impossible = "v5/pretrain can never start on this cluster." });
        var list = Render<WaitingList>(p => p.Add(l => l.Waiting, [Waiting("v4"), Waiting("v5"), Never("v6")]).Add(l => l.Simulated, true));
        Assert.Empty(list.FindAll("[data-waiting=v6] [data-first]"));
        Act(list, () => list.Find("[data-waiting=v5] [data-first]").Click());
        list.WaitForAssertion(
            () => Assert.Contains("can never start", list.Find("[data-impossible]").TextContent, StringComparison.Ordinal));
        list.WaitForAssertion(() => Assert.True(list.Find("[data-sure]").HasAttribute("disabled")));
    }

    private static WaitingGang Never(string run)
    {
        var gang = Waiting(run);
        gang.Wait.Reasons.Insert(0, new WaitReason { Kind = "impossible", Text = "can never start: it asks for 9 nodes" });
        return gang;
    }

    private static WaitingGang Waiting(string run) => new()
    {
        Run = run, Stage = "pretrain", Nodes = 200, SlotsPerNode = 8, Since = Noon, Reason = "over quota",
        Wait = new Wait
        {
            Reasons = { new WaitReason { Kind = "quota", Text = "over quota: team a owns 8" },
                new WaitReason { Kind = "behind", Text = "1 gang ahead" } },
            Start = new StartEstimate { Earliest = Noon, Likely = Noon, Latest = Noon, Basis = "by the plan" },
            Ways =
            {
                new StartWay { Kind = "fewer-nodes", Text = "64 nodes now: +93 %", AskNodes = 64, Command = "dsops clone" },
                new StartWay
                {
                    Kind = "preempt",
                    Text = "preempt v3/pretrain: 38 GPU-h",
                    Victims = { "v3/pretrain" },
                    Command = "dsops queue preempt",
                },
            },
        },
    };
}
