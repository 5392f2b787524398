using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.Calls;
using Grpc.Core;
using Run = DeepSeekOps.Contracts.Ops.V1.Run;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>
/// What people and tools ask, in the order of ops.proto, and which subject answers. One service on the wire, so that a caller needs one
/// client; a file for each subject here.
/// </summary>
internal sealed class OpsGrpcService(
    SubmissionCalls submissions, RunCalls runs, HistoryCalls history, IncidentCalls incidents, HandCalls hands,
    AuditCalls audit, TokenCalls tokens, DrillCalls drills,
    TraceCalls traces, ExpertCalls experts, TryCalls trials, NodeCalls nodes, QueueCalls queue, ForesightCalls foresights,
    ServerCalls server) : OpsService.OpsServiceBase
{
    public override Task<CheckPipelineReply> CheckPipeline(CheckPipelineRequest request, ServerCallContext context) =>
        submissions.CheckPipeline(request, context);

    public override Task<Forecast> ForecastPipeline(CheckPipelineRequest request, ServerCallContext context) =>
        submissions.ForecastPipeline(request, context);

    public override Task<SubmitRunReply> SubmitRun(SubmitRunRequest request, ServerCallContext context) =>
        submissions.SubmitRun(request, context);

    public override Task<ListRunsReply> ListRuns(ListRunsRequest request, ServerCallContext context) =>
        runs.ListRuns(request, context);

    public override Task<Run> GetRun(GetRunRequest request, ServerCallContext context) =>
        runs.GetRun(request, context);

    public override Task WatchRun(GetRunRequest request, IServerStreamWriter<Run> responseStream, ServerCallContext context) =>
        runs.WatchRun(request, responseStream, context);

    public override Task WatchRuns(ListRunsRequest request, IServerStreamWriter<ListRunsReply> responseStream, ServerCallContext context) =>
        runs.WatchRuns(request, responseStream, context);

    public override Task<Run> PauseRun(RunCommand request, ServerCallContext context) =>
        runs.PauseRun(request, context);

    public override Task<Run> ResumeRun(RunCommand request, ServerCallContext context) =>
        runs.ResumeRun(request, context);

    public override Task<Run> CancelRun(RunCommand request, ServerCallContext context) =>
        runs.CancelRun(request, context);

    public override Task<Run> RetryRun(RetryRunRequest request, ServerCallContext context) =>
        runs.RetryRun(request, context);

    public override Task<CloneRunReply> CloneRun(CloneRunRequest request, ServerCallContext context) =>
        submissions.CloneRun(request, context);

    public override Task<ListEventsReply> ListEvents(ListEventsRequest request, ServerCallContext context) =>
        history.ListEvents(request, context);

    public override Task<ListRecentEventsReply> ListRecentEvents(ListRecentEventsRequest request, ServerCallContext context) =>
        history.ListRecentEvents(request, context);

    public override Task WatchEvents(ListEventsRequest request, IServerStreamWriter<Event> responseStream, ServerCallContext context) =>
        history.WatchEvents(request, responseStream, context);

    public override Task<ListIncidentsReply> ListIncidents(ListIncidentsRequest request, ServerCallContext context) =>
        incidents.ListIncidents(request, context);

    public override Task<IncidentReport> GetIncident(GetIncidentRequest request, ServerCallContext context) =>
        incidents.GetIncident(request, context);

    public override Task<IncidentReport> GradeIncident(GradeIncidentRequest request, ServerCallContext context) =>
        incidents.GradeIncident(request, context);

    public override Task<Run> HoldRun(HoldRequest request, ServerCallContext context) => hands.HoldRun(request, context);

    public override Task<Run> ReleaseRun(HoldRequest request, ServerCallContext context) => hands.ReleaseRun(request, context);

    public override Task<Run> TakeIncident(HoldRequest request, ServerCallContext context) => hands.TakeIncident(request, context);

    public override Task<Run> UndoIncident(HoldRequest request, ServerCallContext context) => hands.UndoIncident(request, context);

    public override Task<TryNotificationsReply> TryNotifications(TryNotificationsRequest request, ServerCallContext context) =>
        server.TryNotifications(request, context);

    public override Task<DrillTruth> Drill(DrillRequest request, ServerCallContext context) => drills.Drill(request, context);

    public override Task<DrillCard> ScoreDrill(DrillTruth request, ServerCallContext context) => drills.ScoreDrill(request, context);

    public override Task<Trace> RecordTrace(RecordTraceRequest request, ServerCallContext context) => traces.RecordTrace(request, context);

    public override Task<Trace> GetTrace(GetTraceRequest request, ServerCallContext context) => traces.GetTrace(request, context);

    public override Task<ListTracesReply> ListTraces(ListTracesRequest request, ServerCallContext context) =>
        traces.ListTraces(request, context);

    public override Task<ListCheckpointsReply> ListCheckpoints(ListCheckpointsRequest request, ServerCallContext context) =>
        history.ListCheckpoints(request, context);

    public override Task Generate(GenerateRequest request, IServerStreamWriter<GenerateReply> responseStream, ServerCallContext context) =>
        trials.Generate(request, responseStream, context);

    public override Task<GetLogsReply> GetLogs(GetLogsRequest request, ServerCallContext context) =>
        history.GetLogs(request, context);

    public override Task<ListRanksReply> ListRanks(ListRanksRequest request, ServerCallContext context) =>
        runs.ListRanks(request, context);

    public override Task WatchLogs(GetLogsRequest request, IServerStreamWriter<LogEntry> responseStream, ServerCallContext context) =>
        history.WatchLogs(request, responseStream, context);

    public override Task<ListSeriesReply> ListSeries(ListSeriesRequest request, ServerCallContext context) =>
        history.ListSeries(request, context);

    public override Task<ExpertLoad> GetExpertLoad(GetExpertLoadRequest request, ServerCallContext context) =>
        experts.GetExpertLoad(request, context);

    public override Task WatchExpertLoad(GetExpertLoadRequest request, IServerStreamWriter<ExpertLoad> responseStream,
        ServerCallContext context) =>
        experts.WatchExpertLoad(request, responseStream, context);

    public override Task<Cluster> GetCluster(GetClusterRequest request, ServerCallContext context) =>
        nodes.GetCluster(request, context);

    public override Task WatchCluster(GetClusterRequest request, IServerStreamWriter<Cluster> responseStream, ServerCallContext context) =>
        nodes.WatchCluster(request, responseStream, context);

    public override Task<Node> CordonNode(NodeCommand request, ServerCallContext context) =>
        nodes.CordonNode(request, context);

    public override Task<Node> UncordonNode(NodeCommand request, ServerCallContext context) =>
        nodes.UncordonNode(request, context);

    public override Task<Node> DrainNode(NodeCommand request, ServerCallContext context) =>
        nodes.DrainNode(request, context);

    public override Task<Node> TestNode(NodeCommand request, ServerCallContext context) =>
        nodes.TestNode(request, context);

    public override Task<Node> KillNode(NodeCommand request, ServerCallContext context) =>
        nodes.KillNode(request, context);

    public override Task<Node> HealNode(NodeCommand request, ServerCallContext context) =>
        nodes.HealNode(request, context);

    public override Task<Cluster> MoveWaitingGang(MoveWaitingGangRequest request, ServerCallContext context) =>
        queue.MoveWaitingGang(request, context);

    public override Task<Cluster> GiveWay(GiveWayRequest request, ServerCallContext context) =>
        queue.GiveWay(request, context);

    public override Task<Cluster> PlanMaintenance(PlanMaintenanceRequest request, ServerCallContext context) =>
        queue.PlanMaintenance(request, context);

    public override Task<Cluster> CancelMaintenance(CancelMaintenanceRequest request, ServerCallContext context) =>
        queue.CancelMaintenance(request, context);

    public override Task<Foresight> Foresee(ForeseeRequest request, ServerCallContext context) =>
        foresights.Foresee(request, context);

    public override Task<Health> GetHealth(GetHealthRequest request, ServerCallContext context) =>
        server.GetHealth(request, context);

    public override Task WatchHealth(GetHealthRequest request, IServerStreamWriter<Health> responseStream, ServerCallContext context) =>
        server.WatchHealth(request, responseStream, context);

    public override Task<ListAuditReply> ListAudit(ListAuditRequest request, ServerCallContext context) =>
        audit.ListAudit(request, context);

    public override Task<VerifyAuditReply> VerifyAudit(VerifyAuditRequest request, ServerCallContext context) =>
        audit.VerifyAudit(request, context);

    public override Task<CreateTokenReply> CreateToken(CreateTokenRequest request, ServerCallContext context) =>
        tokens.CreateToken(request, context);

    public override Task<ListTokensReply> ListTokens(ListTokensRequest request, ServerCallContext context) =>
        tokens.ListTokens(request, context);

    public override Task<AccessToken> RevokeToken(RevokeTokenRequest request, ServerCallContext context) =>
        tokens.RevokeToken(request, context);

    public override Task<GetSchemaReply> GetSchema(GetSchemaRequest request, ServerCallContext context) =>
        SubmissionCalls.GetSchema(request, context);

    public override Task<GetVersionReply> GetVersion(GetVersionRequest request, ServerCallContext context) =>
        server.GetVersion(request, context);
}
