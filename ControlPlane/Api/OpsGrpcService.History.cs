using System.Runtime.InteropServices;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
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
    private const int CheckpointsUsual = 1_000;
    private const int CheckpointsMost = 2_000;
    private const int TailUsual = 200;
    private const int TailMost = 10_000;
    private const int SearchLengthMax = 500;

    public override async Task<ListRunsReply> ListRuns(ListRunsRequest request, ServerCallContext context) =>
        await runs.Read(Query(request), context.CancellationToken);

    public override async Task<ListEventsReply> ListEvents(ListEventsRequest request, ServerCallContext context)
    {
        string run = await Existing(request.Run, context.CancellationToken);
        int size = Checked.PageSize(request.PageSize, EventsUsual, PageMost);
        var events = await history.EventsAfter(run, Checked.NotNegative(request.After, "after"), size, context.CancellationToken);
        var shown = Bounded.First([.. events.Select(item => item.Event.ToProto(item.Number))]);
        return new ListEventsReply { Events = { shown }, More = events.Count == size || shown.Count < events.Count };
    }

    public override async Task<ListCheckpointsReply> ListCheckpoints(ListCheckpointsRequest request, ServerCallContext context)
    {
        string? stage = Checked.OptionalName(request.Stage, "stage");
        string run = await Existing(request.Run, context.CancellationToken);
        int size = Checked.PageSize(request.PageSize, CheckpointsUsual, CheckpointsMost);
        var before = request.PageToken.Length == 0 ? null : CheckpointPlace.FromToken(request.PageToken)
            ?? throw Checked.Invalid($"pageToken '{Checked.Shown(request.PageToken)}' is none of this control plane's; leave it out "
                + "to begin with the newest.");
        var checkpoints = await history.CheckpointsBefore(run, stage, before, size, context.CancellationToken);
        var shown = Bounded.Last([.. checkpoints.Select(item => item.Checkpoint.ToProto(item.Run, item.Stage))]);
        bool more = checkpoints.Count == size || shown.Count < checkpoints.Count;
        return new ListCheckpointsReply
        {
            Checkpoints = { shown }, Simulated = cluster.Simulated,
            NextPageToken = more && shown.Count > 0 ? CheckpointPlace.Of(checkpoints[^shown.Count]).ToToken() : "",
        };
    }

    public override async Task<GetLogsReply> GetLogs(GetLogsRequest request, ServerCallContext context)
    {
        var query = await ExistingLogs(request, context.CancellationToken);
        var lines = await logs.Tail(query, context.CancellationToken);
        var shown = Bounded.Last([.. lines.Select(ToProto)]);
        return new GetLogsReply { Entries = { shown }, LeftOut = lines.Count - shown.Count };
    }

    public override async Task<ListSeriesReply> ListSeries(ListSeriesRequest request, ServerCallContext context)
    {
        string? stage = Checked.OptionalName(request.Stage, "stage");
        string run = await Existing(request.Run, context.CancellationToken);
        var summaries = await series.Summaries(run, stage, context.CancellationToken);
        return new ListSeriesReply
        {
            Simulated = cluster.Simulated,
            Series =
            {
                summaries.Select(one => new Series
                {
                    Stage = one.Stage, Name = one.Name, Points = one.Points, FirstStep = one.FirstStep, LastStep = one.LastStep,
                    Last = one.Last,
                    Min = one.Min, Max = one.Max, NotFinite = one.NotFinite,
                }),
            },
        };
    }

    public override async Task<Cluster> GetCluster(GetClusterRequest request, ServerCallContext context) => await Described();

    public override Task<GetSchemaReply> GetSchema(GetSchemaRequest request, ServerCallContext context) =>
        Task.FromResult(new GetSchemaReply { JsonSchema = PipelineText.Schema() });

    public override Task<GetVersionReply> GetVersion(GetVersionRequest request, ServerCallContext context) =>
        Task.FromResult(new GetVersionReply
        {
            Version = ProgramVersion.Text,
            Runtime = RuntimeInformation.FrameworkDescription,
            WorkerProtocol = WorkerGrpcService.Protocol,
            Database = database is OpsDatabase.Sqlite ? "sqlite" : "postgresql",
            Cluster = cluster.Kind,
        });

    private static RunListQuery Query(ListRunsRequest request)
    {
        string search = string.Join(' ', new[] { Search(request.NameContains, "nameContains"), Search(request.Search, "search") }
            .Where(text => text.Length > 0));
        var after = request.PageToken.Length == 0 ? null : RunListPlace.FromToken(request.PageToken)
            ?? throw Checked.Invalid($"pageToken '{Checked.Shown(request.PageToken)}' is none of this control plane's; leave it out to "
                + "begin with the first page.");
        return new RunListQuery(
            search, Checked.OptionalName(request.State, "state") ?? "", after, Checked.PageSize(request.PageSize, RunsUsual, PageMost));
    }

    private static string Search(string text, string field) => text.Length <= SearchLengthMax
        ? text : throw Checked.Invalid($"{field} has {text.Length} characters; at most {SearchLengthMax} are looked for.");

    private async Task<Cluster> Described()
    {
        var seen = await ClusterOf().Describe();
        var stages = seen.Nodes.SelectMany(n => n.Gangs).Select(g => g.Stage).Distinct();
        var known = await Task.WhenAll(stages.Select(async stage =>
        {
            var grain = grains.GetGrain<IStageGrain>(stage.ToString());
            return (Report: await grain.Describe(), Ranks: await grain.Ranks());
        }));
        var proto = seen.ToProto(known.Where(one => one.Report is not null).Select(one => (one.Report!, one.Ranks)));
        proto.Simulation = cluster.InWords;
        return proto;
    }

    private async Task<string> Existing(string run, CancellationToken cancellation)
    {
        await Described(await Known(run, "run"), cancellation);
        return run;
    }

    /// <summary>A stage that the run does not have would be an empty log for ever.</summary>
    private async Task<LogQuery> ExistingLogs(GetLogsRequest request, CancellationToken cancellation)
    {
        var query = Query(request);
        await ExistingStage(query.Run, query.Stage, cancellation);
        await ExistingRank(query, cancellation);
        return query;
    }

    /// <summary>So would one of a rank, or of an attempt, that there never was.</summary>
    private async Task ExistingRank(LogQuery query, CancellationToken cancellation)
    {
        if (query.Rank is { } rank && await grains.GetGrain<IRunGrain>(query.Run).Submission() is { Pipeline: var pipeline })
        {
            int ranks = pipeline.Stages.Where(s => query.Stage is null || s.Name == query.Stage).Max(s => pipeline.ResourcesOf(s).Ranks);
            string whose = query.Stage is null ? query.Run : $"{query.Run}/{query.Stage}";
            if (rank >= ranks)
            {
                throw new RpcException(new Status(
                    StatusCode.NotFound, $"{whose} has no rank {rank}. It has "
                        + $"{(ranks == 1 ? "one, rank 0" : $"{ranks}, from 0 to {ranks - 1}")}."));
            }
        }

        int attempts = (await Described(query.Run, cancellation)).Stages.Where(s => query.Stage is null || s.Name == query.Stage)
            .Max(s => s.Attempt);
        if (query.Attempt > attempts)
        {
            throw new RpcException(new Status(
                StatusCode.NotFound, $"{query.Run} has had no attempt {query.Attempt}{(query.Stage is null ? "" : $" of {query.Stage}")}; "
                    + $"the newest is {attempts}."));
        }
    }

    private async Task ExistingStage(string name, string? stage, CancellationToken cancellation)
    {
        var run = await Described(name, cancellation);
        if (stage is not null && !run.Stages.Any(known => known.Name == stage))
        {
            throw new RpcException(new Status(
                StatusCode.NotFound, $"{run.Name} has no stage '{stage}'. Its stages are: "
                    + $"{string.Join(", ", run.Stages.Select(known => known.Name))}."));
        }
    }

    private static LogQuery Query(GetLogsRequest request) => new(
        Checked.Name(request.Run, "run"), Checked.OptionalName(request.Stage, "stage"), Checked.NotNegative(request.Attempt, "attempt"),
        request.HasRank ? Checked.NotNegative(request.Rank, "rank") : null, Checked.PageSize(request.Tail, TailUsual, TailMost),
        Search(request.Contains, "contains"));

    private static LogEntry ToProto(StoredLine stored) => new()
    {
        At = stored.Line.At.ToTimestamp(), Stage = stored.Stage, Attempt = stored.Attempt, Rank = stored.Rank, Node = stored.Node,
        Line = stored.Number, Text = stored.Line.Text, Error = stored.Line.Error,
    };
}
