using System.Collections.Frozen;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.People;
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

/// <param name="Name">As the audit log and refusals call it.</param>
/// <param name="Of">What a request of it is about.</param>
internal sealed record OpsAct(string Name, Need Need, Told Told, Func<IMessage, About> Of);

/// <summary>
/// Every call of OpsService, what it is and what it needs: the one table. A call that is not in it is refused, and a test compares it with
/// the service.
/// </summary>
internal static class OpsActs
{
    public const string Kubectl = "kubectl";

    public static readonly FrozenDictionary<string, OpsAct> All = Table().ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>By "/deepseekops.ops.v1.OpsService/CancelRun". Null: a call that nobody put into the table.</summary>
    public static OpsAct? Called(string method) => All.GetValueOrDefault(method[(method.LastIndexOf('/') + 1)..]);

    /// <summary>What a resource of Kubernetes asks for; who applied it, the cluster's own audit log tells.</summary>
    public static AuditAct OfResource(string act, string run, string resource, string why, DateTimeOffset now) =>
        new(Guid.CreateVersion7().ToString("N"), now, resource, "RBAC of the cluster", Kubectl, act, run, run, why, AuditAct.Done);

    /// <summary>The run that a request names; empty: none.</summary>
    public static string RunOf(IMessage request, OpsAct act) => act.Told != Told.Never ? act.Of(request).Run
        : (request.Descriptor.FindFieldByName("run") ?? request.Descriptor.FindFieldByName("name"))?.Accessor.GetValue(request) as string
            ?? "";

    private static IEnumerable<KeyValuePair<string, OpsAct>> Table() =>
    [
        .. Looks(Reach.Any, "GetVersion", "GetSchema", "GetHealth", "WatchHealth", "ForecastPipeline", "GetCluster", "WatchCluster",
            "Foresee"),
        .. Looks(Reach.Run, "GetRun", "WatchRun", "CloneRun", "ListEvents", "WatchEvents", "GetIncident", "ScoreDrill", "GetTrace",
            "ListTraces", "ListCheckpoints", "GetLogs", "WatchLogs", "ListRanks", "ListSeries", "GetExpertLoad", "WatchExpertLoad"),
        .. Looks(Reach.RunOrList, "ListRuns", "WatchRuns", "ListIncidents", "ListRecentEvents"),
        .. Looks(Reach.RunOrEveryTeam, "ListAudit"),
        .. Looks(Reach.EveryTeam, "VerifyAudit"),
        // It looks whether files are there that the text names.
        Look("CheckPipeline", Role.Operator, Reach.Any),
        Look("ListTokens", Role.Admin, Reach.InTheText),
        .. ActsOnRuns(),
        .. ActsOnAll(),
        Act<CreateTokenRequest>("CreateToken", Rights.CreateToken, Role.Admin, Reach.InTheText, r => new About("", r.Name,
            $"{r.Role} of {Rights.TeamInWords(r.Team)}")),
        Act<RevokeTokenRequest>("RevokeToken", "revoke-token", Role.Admin, Reach.InTheText, r => new About("", r.Id)),
    ];

    private static IEnumerable<KeyValuePair<string, OpsAct>> ActsOnRuns() =>
    [
        Act<SubmitRunRequest>("SubmitRun", "submit-run", Role.Operator, Reach.InTheText, r => About.Of(r.Name, by: r.DeclaredBy)),
        OnRun<RunCommand>("PauseRun", "pause-run", r => About.Of(r.Name, why: r.Reason)),
        OnRun<RunCommand>("ResumeRun", "resume-run", r => About.Of(r.Name, why: r.Reason)),
        OnRun<RunCommand>("CancelRun", "cancel-run", r => About.Of(r.Name, why: r.Reason)),
        OnRun<RetryRunRequest>("RetryRun", "retry-run",
            r => About.Of(r.Name, r.Stage, r.HasCheckpointStep ? FormattableString.Invariant($"from step {r.CheckpointStep}") : "")),
        OnRun<HoldRequest>("HoldRun", "hold-run", Hand),
        OnRun<HoldRequest>("ReleaseRun", "release-run", Hand),
        OnRun<HoldRequest>("TakeIncident", "take-incident", Hand),
        OnRun<HoldRequest>("UndoIncident", "undo-incident", Hand),
        OnRun<GradeIncidentRequest>("GradeIncident", "grade-incident", r => new About(
            r.Run, FormattableString.Invariant($"{r.Run}/{r.Stage}/{r.Number}"), FormattableString.Invariant($"grade {r.Grade}"))),
        OnRun<GenerateRequest>("Generate", "try-checkpoint", r => About.Of(r.Run, r.Stage), Told.Before),
        OnRun<RecordTraceRequest>("RecordTrace", "record-trace", r => About.Of(r.Run, r.Stage), Told.Before),
        Act<DrillRequest>("Drill", "drill", Role.Admin, Reach.Run, r => About.Of(r.Run, r.Stage, $"fault {r.Fault}"), Told.Before),
    ];

    private static IEnumerable<KeyValuePair<string, OpsAct>> ActsOnAll() =>
    [
        OnAll<NodeCommand>("CordonNode", "cordon-node", Node),
        OnAll<NodeCommand>("UncordonNode", "uncordon-node", Node),
        OnAll<NodeCommand>("DrainNode", "drain-node", Node),
        OnAll<NodeCommand>("TestNode", "test-node", Node, Told.Before),
        OnAll<NodeCommand>("KillNode", "kill-node", Node, Told.Before),
        OnAll<NodeCommand>("HealNode", "heal-node", Node, Told.Before),
        OnAll<MoveWaitingGangRequest>("MoveWaitingGang", "move-gang", r => About.Of(r.Run, r.Stage, r.Reason)),
        OnAll<GiveWayRequest>("GiveWay", "give-way", r => new About(
            r.Gangs.Count == 1 ? r.Gangs[0].Split('/')[0] : "", string.Join(' ', r.Gangs.Take(20)), r.Reason)),
        OnAll<PlanMaintenanceRequest>("PlanMaintenance", "plan-maintenance", r => new About("", r.Name, r.Reason)),
        OnAll<CancelMaintenanceRequest>("CancelMaintenance", "cancel-maintenance", r => new About("", r.Name)),
        OnAll<TryNotificationsRequest>("TryNotifications", "try-notifications", _ => About.Nothing, Told.Before),
    ];

    private static IEnumerable<KeyValuePair<string, OpsAct>> Looks(Reach reach, params string[] calls) =>
        calls.Select(call => Look(call, Role.Viewer, reach));

    private static KeyValuePair<string, OpsAct> Look(string call, Role role, Reach reach) =>
        KeyValuePair.Create(call, new OpsAct(call, new Need(role, reach), Told.Never, _ => About.Nothing));

    private static KeyValuePair<string, OpsAct> OnRun<T>(string call, string name, Func<T, About> of, Told told = Told.WithTheAct)
        where T : IMessage => Act(call, name, Role.Operator, Reach.Run, of, told);

    private static KeyValuePair<string, OpsAct> OnAll<T>(string call, string name, Func<T, About> of, Told told = Told.WithTheAct)
        where T : IMessage => Act(call, name, Role.Operator, Reach.EveryTeam, of, told);

    private static KeyValuePair<string, OpsAct> Act<T>(
        string call, string name, Role role, Reach reach, Func<T, About> of, Told told = Told.WithTheAct)
        where T : IMessage => KeyValuePair.Create(call, new OpsAct(name, new Need(role, reach), told, request => of((T)request)));

    private static About Hand(HoldRequest request) => new(request.Run,
        request.Number > 0 ? FormattableString.Invariant($"{request.Run}/{request.Stage}/{request.Number}") : request.Run, request.Reason,
        request.By);

    private static About Node(NodeCommand request) => new("", request.Name, request.Reason);
}
