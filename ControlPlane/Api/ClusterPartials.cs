using System.Diagnostics;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>The cluster on the wire, with what its stages say of their ranks.</summary>
internal static class ClusterPartials
{
    /// <param name="stages">Those that hold nodes.</param>
    public static Proto.Cluster ToProto(this ClusterView cluster, IEnumerable<StageReport> stages)
    {
        var known = stages.ToDictionary(s => s.Stage, s => (s.View, Ranks: s.View.Ranks.ToLookup(r => r.Node)));
        return new Proto.Cluster
        {
            Kind = cluster.Kind, Simulated = cluster.Simulated, Waiting = { cluster.Pending.Select(ToProto) },
            Nodes = { cluster.Nodes.Select(node => ToProto(node, [.. node.Gangs.Select(gang => Work(node.Node.Id, gang))])) },
        };

        Proto.NodeWork Work(NodeId node, GangGrant gang)
        {
            var work = new Proto.NodeWork { Run = gang.Stage.Run, Stage = gang.Stage.Stage, Attempt = gang.Gang, Slots = gang.SlotsPerNode };
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

    private static Proto.WaitingGang ToProto(PendingGang waits) => new()
    {
        Run = waits.Request.Stage.Run, Stage = waits.Request.Stage.Stage, Attempt = waits.Request.Gang, Nodes = waits.Request.Nodes,
        SlotsPerNode = waits.Request.SlotsPerNode, Priority = waits.Request.Priority, Team = waits.Request.Team,
        Since = waits.Request.Since.ToTimestamp(), Reason = waits.Reason,
    };

    /// <summary>A node may serve several gangs; the first is named, the slots count all.</summary>
    private static Proto.Node ToProto(NodeView view, Proto.NodeWork[] work)
    {
        var pod = view.Pods.FirstOrDefault(pod => pod.Phase is PodPhase.Running);
        var first = work.FirstOrDefault();
        return new Proto.Node
        {
            Name = view.Node.Id.Name, Reason = view.Node.Reason, Slots = view.Node.Slots, SlotsUsed = view.SlotsUsed,
            Run = first?.Run ?? "", Stage = first?.Stage ?? "", Attempt = first?.Attempt ?? 0, AgentPid = pod?.Pid ?? 0,
            Labels = { view.Node.Labels }, Work = { work },
            State = view.Node.Health switch
            {
                NodeHealth.Ready => "ready",
                NodeHealth.NotReady => "not-ready",
                NodeHealth.Unknown => "unknown",
                NodeHealth.Cordoned => "cordoned",
                _ => throw new UnreachableException($"health {view.Node.Health}"),
            },
        };
    }
}
