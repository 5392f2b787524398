using System.Diagnostics;
using DeepSeekOps.Decisions.Placement;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Why a gang waits, on the wire.</summary>
internal static class WaitMapping
{
    public static Proto.WaitingGang ToProto(PendingGang waits, bool withWays) => new()
    {
        Run = waits.Request.Stage.Run, Stage = waits.Request.Stage.Stage, Attempt = waits.Request.Id.Number, Nodes = waits.Request.Nodes,
        SlotsPerNode = waits.Request.SlotsPerNode, Priority = waits.Request.Priority, Team = waits.Request.Team,
        Since = waits.Request.Since.ToTimestamp(), Reason = waits.Why.Reason,
        Wait = (withWays ? waits.Why : waits.Why with { Ways = [] }).ToProto(), Group = waits.Request.Group,
        Restores = waits.Request.Restores, Moved = waits.Moved,
    };

    public static Proto.Wait ToProto(this PlacementDecision.Pending pending)
    {
        var proto = new Proto.Wait
        {
            Reasons = { pending.Reasons.Select(r => new Proto.WaitReason { Kind = InWords(r.Kind), Text = r.Text }) },
        };
        proto.Ways.AddRange(pending.Ways.Select(ToProto));
        if (pending.Eta is { } eta)
        {
            proto.Start = new Proto.StartEstimate
            {
                Earliest = eta.Earliest.ToTimestamp(), Likely = eta.Likely.ToTimestamp(), Latest = eta.Latest.ToTimestamp(),
                Basis = eta.Basis,
            };
        }

        return proto;
    }

    private static Proto.StartWay ToProto(StartWay way)
    {
        var proto = new Proto.StartWay
        {
            Kind = InWords(way.Kind), Text = way.Text, Command = way.Command, AskNodes = way.AskNodes,
            Nodes = { way.Nodes.Select(n => n.Name) }, Victims = { way.Victims.Select(v => v.ToString()) },
        };
        if (way.GpuHours is { } hours)
        {
            proto.GpuHours = hours;
        }

        if (way.GpuHoursAtRisk is { } risk)
        {
            proto.GpuHoursAtRisk = risk;
        }

        if (way.LongerBy is { } longer)
        {
            proto.LongerBy = longer;
        }

        return proto;
    }

    private static string InWords(PendingKind kind) => kind switch
    {
        PendingKind.Impossible => "impossible",
        PendingKind.Quota => "quota",
        PendingKind.Capacity => "capacity",
        PendingKind.Reserved => "reserved",
        PendingKind.Maintenance => "maintenance",
        PendingKind.Spares => "spares",
        PendingKind.Group => "group",
        PendingKind.Behind => "behind",
        PendingKind.Preempting => "preempting",
        PendingKind.Promised => "promised",
        PendingKind.Held => "held",
        _ => throw new UnreachableException($"kind {kind}"),
    };

    private static string InWords(WayKind kind) => kind switch
    {
        WayKind.Uncordon => "uncordon",
        WayKind.FewerNodes => "fewer-nodes",
        WayKind.Preempt => "preempt",
        WayKind.EndMaintenance => "end-maintenance",
        _ => throw new UnreachableException($"kind {kind}"),
    };
}
