using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Incidents;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>What went wrong, and what was known of it.</summary>
internal sealed class IncidentCalls(
    KnownRuns known, IncidentStore incidents, IGrainFactory grains, ITrainingCluster cluster, GpuPrice price, TimeProvider clock)
{
    private const int IncidentsUsual = 100;

    /// <summary>What is left of a message beside the incidents of runs.</summary>
    private const int NodesBytes = 512 << 10;

    private static readonly TimeSpan GradedFor = TimeSpan.FromDays(30);

    /// <summary>Of docs/operating.md: right, right cause, led to it, wrong.</summary>
    private static readonly int[] Grades = [100, 65, 35, 0];

    public async Task<ListIncidentsReply> ListIncidents(ListIncidentsRequest request, ServerCallContext context)
    {
        string? run = request.Run.Length == 0 ? null : await known.Existing(request.Run, context.CancellationToken);
        int size = Checked.PageSize(request.PageSize, IncidentsUsual, Checked.PageMost);
        DateTimeOffset? since = request.Since is null ? null : Checked.Time(request.Since, "since");
        string team = Gate.Of(context).Team;
        var nodes = run is not null || team.Length > 0 ? []
            : await incidents.NewestOfNodes(request.Node.Length == 0 ? null : request.Node, since, size, context.CancellationToken);
        var found = request.Node.Length > 0 ? []
            : await incidents.Newest(run, since, size, context.CancellationToken, team);
        var shown = Bounded.First([.. found.Select(i => i.ToProto())]);
        var mean = await incidents.GradedSince(clock.GetUtcNow() - GradedFor, context.CancellationToken);
        var reply = new ListIncidentsReply
        {
            Incidents = { shown }, More = found.Count == size || nodes.Count == size || shown.Count < found.Count,
            Simulated = cluster.Simulated,
            Graded = mean.Graded, Nodes = { Bounded.First([.. nodes.Select(n => n.ToProto())], NodesBytes) },
        };
        if (mean.Mean is { } grade)
        {
            reply.MeanGrade = grade;
        }

        if (price.DollarsPerHour is { } dollars)
        {
            reply.DollarsPerGpuHour = dollars;
        }

        return reply;
    }

    public async Task<IncidentReport> GetIncident(GetIncidentRequest request, ServerCallContext context)
    {
        int attempt = Checked.NotNegative(request.Attempt, "attempt");
        var found = await Incident(request.Run, request.Stage, request.Number, context.CancellationToken);
        return await Report(found, attempt, context.CancellationToken);
    }

    public async Task<IncidentReport> GradeIncident(GradeIncidentRequest request, ServerCallContext context)
    {
        if (!Grades.Contains(request.Grade))
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument,
                $"grade is {request.Grade}, which is none of {string.Join(", ", Grades)}: 100 where cause, rank and remedy were right, "
                + "65 where the cause was, 35 where it led to it, 0 where it was wrong."));
        }

        var found = await Incident(request.Run, request.Stage, request.Number, context.CancellationToken);
        if (found.Incident.Diagnosis is null)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition,
                $"Incident {found.Incident.Number} of {found.Incident.Stage} has no diagnosis: it was only suspected."));
        }

        await incidents.Grade(found.Incident, request.Grade, clock.GetUtcNow(), context.CancellationToken, Asked.Acts);
        return await Report(found with { Grade = request.Grade }, 0, context.CancellationToken);
    }

    private async Task<GradedIncident> Incident(string named, string ofStage, int which, CancellationToken cancellation)
    {
        string run = await known.Existing(named, cancellation);
        string? stage = Checked.OptionalName(ofStage, "stage");
        await known.ExistingStage(run, stage, cancellation);
        int number = Checked.NotNegative(which, "number");
        return await incidents.Read(run, stage, number == 0 ? null : number, cancellation)
            ?? throw new RpcException(new Status(StatusCode.NotFound, number == 0
                ? $"{run} has had no incident{(stage is null ? "" : $" in {stage}")}."
                : $"{run} has had no incident {number}{(stage is null ? "" : $" in {stage}")}; "
                    + $"`dsops incidents {run}` lists those there were."));
    }

    private async Task<IncidentReport> Report(GradedIncident found, int attempt, CancellationToken cancellation)
    {
        var incident = found.Incident;
        int whose = attempt > 0 ? attempt : incident.FailedAttempts.FirstOrDefault();
        var evidence = whose == 0 ? null
            : await incidents.EvidenceOf(incident.Stage.Run, incident.Stage.Stage, whose, cancellation);
        var report = new IncidentReport { Incident = found.ToProto(), Evidence = evidence?.ToProto(), Simulated = cluster.Simulated };
        if (price.DollarsPerHour is { } dollars)
        {
            report.DollarsPerGpuHour = dollars;
        }

        var run = await grains.GetGrain<IRunGrain>(incident.Stage.Run).Describe();
        var stage = await grains.GetGrain<IStageGrain>(incident.Stage.ToString()).Describe();
        report.Hold = run?.Held?.ToProto();
        bool newest = stage?.Incident is { } known && known.Number == incident.Number;
        report.InHand = newest && incident.State != IncidentState.Closed && run is { Ended: false };
        report.Undo = newest && run is { Ended: false } ? stage!.Incident!.Undo?.ToProto() : null;
        return report;
    }
}
