using System.Collections.Frozen;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Decisions.Audit;
using Google.Protobuf;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>When a call's line is written into the audit log.</summary>
internal enum Told
{
    /// <summary>It changes nothing.</summary>
    Never = 0,

    /// <summary>In the transaction that writes what it changed, or afterwards where nothing had to be written.</summary>
    WithTheAct = 1,

    /// <summary>What it does is not written anywhere: the line comes first, so that no crash can hide it.</summary>
    Before = 2,
}

/// <summary>What a request is about, in its own words.</summary>
internal sealed record About(string Run, string Target, string Why = "", string By = "")
{
    public static readonly About Nothing = new("", "");

    public static About Of(string run, string stage = "", string why = "", string by = "") =>
        new(run, stage.Length > 0 ? $"{run}/{stage}" : run, why, by);
}

/// <param name="Name">As the audit log calls it.</param>
/// <param name="Of">What a request of it is about.</param>
internal sealed record OpsAct(string Name, Told Told, Func<IMessage, About> Of);

/// <summary>
/// Every call of OpsService and what it is: the one table. A call that is not in it is refused, and a test compares it with the service.
/// </summary>
internal static class OpsActs
{
    public const string Kubectl = "kubectl";

    private static readonly string[] Looks =
    [
        "CheckPipeline", "ForecastPipeline", "ListRuns", "GetRun", "WatchRun", "WatchRuns", "CloneRun", "ListEvents", "WatchEvents",
        "ListIncidents", "GetIncident", "ScoreDrill", "GetTrace", "ListTraces", "ListCheckpoints", "GetLogs", "WatchLogs", "ListRanks",
        "ListSeries", "GetExpertLoad", "WatchExpertLoad", "GetCluster", "WatchCluster", "Foresee", "GetHealth", "WatchHealth", "ListAudit",
        "VerifyAudit", "GetSchema", "GetVersion",
    ];

    public static readonly FrozenDictionary<string, OpsAct> All = Table().ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>By "/deepseekops.ops.v1.OpsService/CancelRun". Null: a call that nobody put into the table.</summary>
    public static OpsAct? Called(string method) => All.GetValueOrDefault(method[(method.LastIndexOf('/') + 1)..]);

    /// <summary>What a resource of Kubernetes asks for; who applied it, the cluster's own audit log tells.</summary>
    public static AuditAct OfResource(string act, string run, string resource, string why, DateTimeOffset now) =>
        new(Guid.CreateVersion7().ToString("N"), now, resource, "RBAC of the cluster", Kubectl, act, run, run, why, AuditAct.Done);

    private static IEnumerable<KeyValuePair<string, OpsAct>> Table() =>
    [
        .. Reads(),
        Act<SubmitRunRequest>("SubmitRun", "submit-run", r => About.Of(r.Name, by: r.DeclaredBy)),
        Act<RunCommand>("PauseRun", "pause-run", r => About.Of(r.Name, why: r.Reason)),
        Act<RunCommand>("ResumeRun", "resume-run", r => About.Of(r.Name, why: r.Reason)),
        Act<RunCommand>("CancelRun", "cancel-run", r => About.Of(r.Name, why: r.Reason)),
        Act<RetryRunRequest>("RetryRun", "retry-run",
            r => About.Of(r.Name, r.Stage, r.HasCheckpointStep ? FormattableString.Invariant($"from step {r.CheckpointStep}") : "")),
        Act<HoldRequest>("HoldRun", "hold-run", Hand),
        Act<HoldRequest>("ReleaseRun", "release-run", Hand),
        Act<HoldRequest>("TakeIncident", "take-incident", Hand),
        Act<HoldRequest>("UndoIncident", "undo-incident", Hand),
        Act<GradeIncidentRequest>("GradeIncident", "grade-incident", r => new About(
            r.Run, FormattableString.Invariant($"{r.Run}/{r.Stage}/{r.Number}"), FormattableString.Invariant($"grade {r.Grade}"))),
        Act<NodeCommand>("CordonNode", "cordon-node", Node),
        Act<NodeCommand>("UncordonNode", "uncordon-node", Node),
        Act<NodeCommand>("DrainNode", "drain-node", Node),
        Act<NodeCommand>("KillNode", "kill-node", Node, Told.Before),
        Act<NodeCommand>("HealNode", "heal-node", Node, Told.Before),
        Act<MoveWaitingGangRequest>("MoveWaitingGang", "move-gang", r => About.Of(r.Run, r.Stage, r.Reason)),
        Act<GiveWayRequest>("GiveWay", "give-way", r => new About(
            r.Gangs.Count == 1 ? r.Gangs[0].Split('/')[0] : "", string.Join(' ', r.Gangs.Take(20)), r.Reason)),
        Act<PlanMaintenanceRequest>("PlanMaintenance", "plan-maintenance", r => new About("", r.Name, r.Reason)),
        Act<CancelMaintenanceRequest>("CancelMaintenance", "cancel-maintenance", r => new About("", r.Name)),
        Act<DrillRequest>("Drill", "drill", r => About.Of(r.Run, r.Stage, $"fault {r.Fault}"), Told.Before),
        Act<GenerateRequest>("Generate", "try-checkpoint", r => About.Of(r.Run, r.Stage), Told.Before),
        Act<RecordTraceRequest>("RecordTrace", "record-trace", r => About.Of(r.Run, r.Stage), Told.Before),
        Act<TryNotificationsRequest>("TryNotifications", "try-notifications", _ => About.Nothing, Told.Before),
    ];

    private static IEnumerable<KeyValuePair<string, OpsAct>> Reads() =>
        Looks.Select(call => KeyValuePair.Create(call, new OpsAct(call, Told.Never, _ => About.Nothing)));

    private static KeyValuePair<string, OpsAct> Act<T>(string call, string name, Func<T, About> of, Told told = Told.WithTheAct)
        where T : IMessage => KeyValuePair.Create(call, new OpsAct(name, told, request => of((T)request)));

    private static About Hand(HoldRequest request) => new(request.Run,
        request.Number > 0 ? FormattableString.Invariant($"{request.Run}/{request.Stage}/{request.Number}") : request.Run, request.Reason,
        request.By);

    private static About Node(NodeCommand request) => new("", request.Name, request.Reason);
}
