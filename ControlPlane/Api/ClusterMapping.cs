using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>The cluster on the wire, with what its stages say of their ranks.</summary>
internal static class ClusterMapping
{
    /// <summary>
    /// Places of the queue whose ways to a sooner start are told: each names nodes and gangs, and a queue of a thousand of them would be
    /// more than a client takes. Those behind are told on the page of their run.
    /// </summary>
    private const int WithWays = 100;

    /// <param name="stages">Those that hold nodes, each with every rank of its gang.</param>
    public static Proto.Cluster ToProto(this ClusterView cluster, IEnumerable<(StageReport Report, ImmutableArray<RankView> Ranks)> stages)
    {
        var known = stages.ToDictionary(s => s.Report.Stage, s => (s.Report.View, Ranks: s.Ranks.ToLookup(r => r.Node)));
        return new Proto.Cluster
        {
            Kind = cluster.Kind, Simulated = cluster.Simulated,
            Waiting = { cluster.Pending.Select((waits, place) => WaitMapping.ToProto(waits, place < WithWays)) },
            Teams = { cluster.Teams.Select(ToProto) }, Spares = cluster.Policy.Spares, SparesFree = cluster.Nodes.Count(n => n.Spare),
            Maintenance = { cluster.Policy.Maintenance.Where(w => w.Until > cluster.At).OrderBy(w => w.From)
                .Select(w => ToProto(w, cluster)) },
            Groups = { cluster.Policy.Groups.Select(g => ToProto(g, cluster)) }, Fabric = cluster.Fabric,
            Fragmentation = new Proto.Fragmentation
            {
                FreeNodes = cluster.Fragmentation.Free, InWholeGroups = cluster.Fragmentation.InWholeGroups,
                Share = cluster.Fragmentation.Share,
            },
            Nodes = { cluster.Nodes.Select(node => ToProto(node, [.. node.Gangs.Select(gang => Work(node.Node.Id, gang))])) },
        };

        Proto.NodeWork Work(NodeId node, GangGrant gang)
        {
            var work = new Proto.NodeWork
            {
                Run = gang.Stage.Run,
                Stage = gang.Stage.Stage,
                Attempt = gang.Id.Number,
                Slots = gang.SlotsPerNode,
            };
            if (known.TryGetValue(gang.Stage, out var stage))
            {
                (work.State, work.Step, work.Attempt) = (stage.View.State, stage.View.Step, stage.View.Attempt);
                work.Ranks.AddRange(stage.Ranks[node.Name].Select(r => r.State.InWords()));
                if (stage.View.Mfu is { } mfu)
                {
                    work.Mfu = mfu;
                }
            }

            return work;
        }
    }

    private static Proto.Team ToProto(TeamView team)
    {
        var proto = new Proto.Team { Name = team.Name, Holds = team.Holds, Asks = team.Asks };
        if (team.Owns is { } owns)
        {
            proto.Owns = owns;
        }

        return proto;
    }

    private static Proto.Maintenance ToProto(MaintenanceWindow window, ClusterView cluster) => new()
    {
        Name = window.Name, Group = window.Group, From = window.From.ToTimestamp(), Until = window.Until.ToTimestamp(),
        Reason = window.Reason,
        Active = window.Active(cluster.At), ByHand = window.ByHand,
        Nodes = { cluster.Nodes.Where(n => window.Covers(n.Node, cluster.Policy.Groups)).Select(n => n.Node.Id.Name) },
    };

    private static Proto.NodeGroup ToProto(NodeGroup group, ClusterView cluster)
    {
        var members = cluster.Nodes.Where(n => n.Groups.Contains(group.Name)).ToArray();
        return new Proto.NodeGroup
        {
            Name = group.Name, Labels = { group.Labels }, Nodes = members.Length,
            Free = members.Count(n => n is { SlotsUsed: 0, Node.Health: NodeHealth.Ready }),
        };
    }

    internal static Proto.NodeTest ToProto(NodeTest test)
    {
        var proto = new Proto.NodeTest
        {
            At = test.At.ToTimestamp(), Why = test.Why, Reason = test.Reason, Released = test.Released, Device = test.Figures?.Device ?? "",
            Wrong = { test.Figures?.Wrong ?? [] }, Seconds = test.Figures?.Seconds ?? 0,
            Result = test.Result switch
            {
                NodeTestResult.Passed => "passed",
                NodeTestResult.Failed => "failed",
                NodeTestResult.Suspect => "suspect",
                NodeTestResult.Inconclusive => "inconclusive",
                _ => throw new UnreachableException($"result {test.Result}"),
            },
        };
        Set(test.Figures?.Tflops, v => proto.Tflops = v);
        Set(test.Figures?.MemoryBytesPerSecond, v => proto.MemoryBytesPerSecond = v);
        Set(test.Figures?.DiskWriteBytesPerSecond, v => proto.DiskWriteBytesPerSecond = v);
        Set(test.Figures?.DiskReadBytesPerSecond, v => proto.DiskReadBytesPerSecond = v);
        Set(test.Figures?.ReduceBytesPerSecond, v => proto.ReduceBytesPerSecond = v);
        return proto;

        static void Set(double? measured, Action<double> to)
        {
            if (measured is { } value)
            {
                to(value);
            }
        }
    }

    /// <summary>A node may serve several gangs; the first is named, the slots count all.</summary>
    private static Proto.Node ToProto(NodeView view, Proto.NodeWork[] work)
    {
        var pod = view.Pods.FirstOrDefault(pod => pod.Phase is PodPhase.Running);
        var first = work.FirstOrDefault();
        return new Proto.Node
        {
            Name = view.Node.Id.Name, Reason = view.Node.Reason, Slots = view.Node.Slots, SlotsUsed = view.SlotsUsed,
            Run = first?.Run ?? "", Stage = first?.Stage ?? "", Attempt = first?.Attempt ?? 0, AgentPid = pod?.Pid ?? 0,
            Labels = { view.Node.Labels }, Work = { work }, Spare = view.Spare, Groups = { view.Groups }, LemonScore = view.Node.LemonScore,
            Test = view.Node.Test is { } test ? ToProto(test) : null, Testing = view.Testing, Untried = view.Node.Untried,
            State = view.Node.Health switch
            {
                NodeHealth.Ready => "ready",
                NodeHealth.NotReady => "not-ready",
                NodeHealth.Unknown => "unknown",
                NodeHealth.Cordoned => "cordoned",
                NodeHealth.Maintenance => "maintenance",
                _ => throw new UnreachableException($"health {view.Node.Health}"),
            },
        };
    }
}
