using System.Runtime.InteropServices;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Stages;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Lists: what was written down, and the cluster.</summary>
internal sealed partial class OpsGrpcService
{
    private const int RunsUsual = 100;
    private const int EventsUsual = 200;
    private const int PageMost = 1_000;
    private const int TailUsual = 200;
    private const int TailMost = 10_000;
    private const int SearchLengthMax = 500;

    public override async Task<ListRunsReply> ListRuns(ListRunsRequest request, ServerCallContext context) =>
        await Listed(request, context.CancellationToken);

    public override async Task<ListEventsReply> ListEvents(ListEventsRequest request, ServerCallContext context)
    {
        string run = await Existing(request.Run, context.CancellationToken);
        var events = await history.EventsAfter(
            run, Door.NotNegative(request.After, "after"), Door.PageSize(request.PageSize, EventsUsual, PageMost), context.CancellationToken);
        return new ListEventsReply { Events = { events.Select(item => item.Event.ToProto(item.Number)) } };
    }

    public override async Task<ListCheckpointsReply> ListCheckpoints(ListCheckpointsRequest request, ServerCallContext context)
    {
        string? stage = Door.OptionalName(request.Stage, "stage");
        string run = await Existing(request.Run, context.CancellationToken);
        var checkpoints = await history.Checkpoints(run, stage, context.CancellationToken);
        return new ListCheckpointsReply { Checkpoints = { checkpoints.Select(item => item.Checkpoint.ToProto(item.Run, item.Stage)) }, Simulated = cluster.Simulated };
    }

    public override async Task<GetLogsReply> GetLogs(GetLogsRequest request, ServerCallContext context)
    {
        var query = await ExistingLogs(request, context.CancellationToken);
        var lines = await logs.Tail(query, context.CancellationToken);
        return new GetLogsReply { Entries = { lines.Select(ToProto) } };
    }

    public override async Task<ListSeriesReply> ListSeries(ListSeriesRequest request, ServerCallContext context)
    {
        string? stage = Door.OptionalName(request.Stage, "stage");
        string run = await Existing(request.Run, context.CancellationToken);
        var summaries = await series.Summaries(run, stage, context.CancellationToken);
        return new ListSeriesReply
        {
            Simulated = cluster.Simulated,
            Series =
            {
                summaries.Select(one => new Series
                {
                    Stage = one.Stage, Name = one.Name, Points = one.Points, FirstStep = one.FirstStep, LastStep = one.LastStep, Last = one.Last,
                    Min = one.Min, Max = one.Max,
                }),
            },
        };
    }

    public override async Task<Cluster> GetCluster(GetClusterRequest request, ServerCallContext context) => await Described();

    public override Task<GetSchemaReply> GetSchema(GetSchemaRequest request, ServerCallContext context) =>
        Task.FromResult(new GetSchemaReply { JsonSchema = PipelineText.Schema() });

    public override Task<GetVersionReply> GetVersion(GetVersionRequest request, ServerCallContext context) => Task.FromResult(new GetVersionReply
    {
        Version = InfoVerbs.ProgramVersion,
        Runtime = RuntimeInformation.FrameworkDescription,
        WorkerProtocol = WorkerGrpcService.Protocol,
        Database = database is OpsDatabase.Sqlite ? "sqlite" : "postgresql",
        Cluster = cluster.Kind,
    });

    /// <summary>What has ended is as it was written down; what has not, its grain knows better.</summary>
    private async Task<ListRunsReply> Listed(ListRunsRequest request, CancellationToken cancellation)
    {
        int size = Door.PageSize(request.PageSize, RunsUsual, PageMost);
        string contains = request.NameContains.Length <= SearchLengthMax ? request.NameContains : throw Door.Invalid("nameContains is too long.");
        int skip = request.PageToken.Length == 0 ? 0
            : int.TryParse(request.PageToken, out int from) && from >= 0 ? from
            : throw Door.Invalid($"pageToken '{Door.Shown(request.PageToken)}' is none of this control plane's.");
        var written = await history.Runs(contains, skip, size, cancellation);
        var now = await Task.WhenAll(written.Select(async run => run.Ended ? run : await grains.GetGrain<IRunGrain>(run.Name).Describe() ?? run));
        var reply = new ListRunsReply { NextPageToken = written.Count == size ? $"{skip + size}" : "" };
        foreach (var run in now)
        {
            reply.Runs.Add(await ToProto(run));
        }
        return reply;
    }

    private async Task<Cluster> Described()
    {
        var seen = await ClusterOf().Describe();
        var stages = seen.Nodes.SelectMany(n => n.Gangs).Select(g => g.Stage).Distinct();
        var reports = await Task.WhenAll(stages.Select(stage => grains.GetGrain<IStageGrain>(stage.ToString()).Describe()));
        var proto = seen.ToProto(reports.OfType<StageReport>());
        proto.Simulation = (cluster as SimulatedCluster)?.InWords ?? "";
        return proto;
    }

    private async Task<string> Existing(string run, CancellationToken cancellation)
    {
        await Described(Door.Name(run, "run"), cancellation);
        return run;
    }

    /// <summary>A stage that the run does not have would be an empty log for ever.</summary>
    private async Task<LogQuery> ExistingLogs(GetLogsRequest request, CancellationToken cancellation)
    {
        var query = Query(request);
        await ExistingStage(query.Run, query.Stage, cancellation);
        return query;
    }

    private async Task ExistingStage(string name, string? stage, CancellationToken cancellation)
    {
        var run = await Described(name, cancellation);
        if (stage is not null && !run.Stages.Any(known => known.Name == stage))
        {
            throw new RpcException(new Status(
                StatusCode.NotFound, $"{run.Name} has no stage '{stage}'. Its stages are: {string.Join(", ", run.Stages.Select(known => known.Name))}."));
        }
    }

    private static LogQuery Query(GetLogsRequest request) => new(
        Door.Name(request.Run, "run"), Door.OptionalName(request.Stage, "stage"), Door.NotNegative(request.Attempt, "attempt"),
        request.HasRank ? Door.NotNegative(request.Rank, "rank") : null, Door.PageSize(request.Tail, TailUsual, TailMost),
        request.Contains.Length <= SearchLengthMax ? request.Contains : throw Door.Invalid("contains is too long."));

    private static LogEntry ToProto(StoredLine stored) => new()
    {
        At = stored.Line.At.ToTimestamp(), Stage = stored.Stage, Attempt = stored.Attempt, Rank = stored.Rank, Node = stored.Node,
        Line = stored.Number, Text = stored.Line.Text, Error = stored.Line.Error,
    };
}
