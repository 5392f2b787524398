using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Storage;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>What went wrong, and what was known of it.</summary>
internal sealed class IncidentCalls(KnownRuns known, IncidentStore incidents, ITrainingCluster cluster)
{
    private const int IncidentsUsual = 100;

    public async Task<ListIncidentsReply> ListIncidents(ListIncidentsRequest request, ServerCallContext context)
    {
        string? run = request.Run.Length == 0 ? null : await known.Existing(request.Run, context.CancellationToken);
        int size = Checked.PageSize(request.PageSize, IncidentsUsual, Checked.PageMost);
        var found = await incidents.Newest(run, size, context.CancellationToken);
        var shown = Bounded.First([.. found.Select(i => i.ToProto())]);
        return new ListIncidentsReply
        {
            Incidents = { shown }, More = found.Count == size || shown.Count < found.Count, Simulated = cluster.Simulated,
        };
    }

    public async Task<IncidentReport> GetIncident(GetIncidentRequest request, ServerCallContext context)
    {
        string run = await known.Existing(request.Run, context.CancellationToken);
        string? stage = Checked.OptionalName(request.Stage, "stage");
        await known.ExistingStage(run, stage, context.CancellationToken);
        int number = Checked.NotNegative(request.Number, "number");
        int attempt = Checked.NotNegative(request.Attempt, "attempt");
        var incident = await incidents.Read(run, stage, number == 0 ? null : number, context.CancellationToken)
            ?? throw new RpcException(new Status(StatusCode.NotFound, number == 0
                ? $"{run} has had no incident{(stage is null ? "" : $" in {stage}")}."
                : $"{run} has had no incident {number}{(stage is null ? "" : $" in {stage}")}; ListIncidents names those there were."));
        int whose = attempt > 0 ? attempt : incident.FailedAttempts.FirstOrDefault();
        var evidence = whose == 0 ? null
            : await incidents.EvidenceOf(run, incident.Stage.Stage, whose, context.CancellationToken);
        return new IncidentReport { Incident = incident.ToProto(), Evidence = evidence?.ToProto(), Simulated = cluster.Simulated };
    }
}
