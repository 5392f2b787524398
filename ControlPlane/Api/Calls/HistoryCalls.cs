using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Series;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>What was written down: events, checkpoints, logs, names of series.</summary>
internal sealed class HistoryCalls(
    IGrainFactory grains, KnownRuns known, HistoryQueries history, LogQueries logs, SeriesQueries series,
    ITrainingCluster cluster, CallStreams streams)
{
    private const int EventsUsual = 200;
    private const int CheckpointsUsual = 1_000;
    private const int CheckpointsMost = 2_000;
    private const int TailUsual = 200;
    private const int TailMost = 10_000;

    public async Task<ListEventsReply> ListEvents(ListEventsRequest request, ServerCallContext context)
    {
        string run = await known.Existing(request.Run, context.CancellationToken);
        int size = Checked.PageSize(request.PageSize, EventsUsual, Checked.PageMost);
        var events = await history.EventsAfter(run, Checked.NotNegative(request.After, "after"), size, context.CancellationToken);
        var shown = Bounded.First([.. events.Select(item => item.Event.ToProto(item.Number))]);
        return new ListEventsReply { Events = { shown }, More = events.Count == size || shown.Count < events.Count };
    }

    public async Task<ListRecentEventsReply> ListRecentEvents(ListRecentEventsRequest request, ServerCallContext context)
    {
        int size = Checked.PageSize(request.PageSize, EventsUsual, Checked.PageMost);
        DateTimeOffset? since = request.Since is null ? null : Checked.Time(request.Since, "since");
        var before = request.PageToken.Length == 0 ? null : EventPlace.FromToken(request.PageToken)
            ?? throw Checked.Invalid($"pageToken '{Checked.Shown(request.PageToken)}' is not one of this control plane's; leave it out "
                + "to begin with the newest.");
        var found = await history.Recent(since, before, size, Gate.Of(context).Team, context.CancellationToken);
        var shown = Bounded.First([.. found.Select(item => item.Event.ToProto(item.Number))]);
        bool more = found.Count == size || shown.Count < found.Count;
        return new ListRecentEventsReply
        {
            Events = { shown }, NextPageToken = more && shown.Count > 0 ? EventPlace.Of(found[shown.Count - 1]).ToToken() : "",
        };
    }

    public Task WatchEvents(ListEventsRequest request, IServerStreamWriter<Event> responseStream, ServerCallContext context) =>
        streams.UntilGone(context, async token =>
        {
            string run = await known.Existing(request.Run, token);
            await foreach (var item in history.FollowEvents(run, Checked.NotNegative(request.After, "after"), token))
            {
                await responseStream.WriteAsync(item.Event.ToProto(item.Number), token);
            }
        });

    public async Task<ListCheckpointsReply> ListCheckpoints(ListCheckpointsRequest request, ServerCallContext context)
    {
        string? stage = Checked.OptionalName(request.Stage, "stage");
        string run = await known.Existing(request.Run, context.CancellationToken);
        int size = Checked.PageSize(request.PageSize, CheckpointsUsual, CheckpointsMost);
        var before = request.PageToken.Length == 0 ? null : CheckpointPlace.FromToken(request.PageToken)
            ?? throw Checked.Invalid($"pageToken '{Checked.Shown(request.PageToken)}' is not one of this control plane's; leave it out "
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

    public async Task<GetLogsReply> GetLogs(GetLogsRequest request, ServerCallContext context)
    {
        var query = await ExistingLogs(request, context.CancellationToken);
        var lines = await logs.Tail(query, context.CancellationToken);
        var shown = Bounded.Last([.. lines.Select(ToProto)]);
        return new GetLogsReply { Entries = { shown }, LeftOut = lines.Count - shown.Count };
    }

    public Task WatchLogs(GetLogsRequest request, IServerStreamWriter<LogEntry> responseStream, ServerCallContext context) =>
        streams.UntilGone(context, async token =>
        {
            var query = await ExistingLogs(request, token);
            await foreach (var line in logs.Follow(query, token))
            {
                await responseStream.WriteAsync(ToProto(line), token);
            }
        });

    public async Task<ListSeriesReply> ListSeries(ListSeriesRequest request, ServerCallContext context)
    {
        string? stage = Checked.OptionalName(request.Stage, "stage");
        string run = await known.Existing(request.Run, context.CancellationToken);
        if (request.HasAtStep && stage is null)
        {
            throw Checked.Invalid("A step is asked for (at_step) and no stage; steps are counted in each stage. Name the stage.");
        }

        var summaries = await series.Summaries(run, stage, context.CancellationToken);
        var there = request.HasAtStep && stage is not null
            ? await series.At(run, stage, request.AtStep, context.CancellationToken) : [];
        return new ListSeriesReply
        {
            Simulated = cluster.Simulated,
            Series = { summaries.Select(one => ToProto(one, there)) },
        };
    }

    private static Contracts.Ops.V1.Series ToProto(SeriesSummary one, Dictionary<string, double> there)
    {
        var told = new Contracts.Ops.V1.Series
        {
            Stage = one.Stage, Name = one.Name, Points = one.Points, FirstStep = one.FirstStep, LastStep = one.LastStep,
            Last = one.Last, Min = one.Min, Max = one.Max, NotFinite = one.NotFinite,
        };
        if (there.TryGetValue(one.Name, out double value))
        {
            told.AtStep = value;
        }

        return told;
    }

    /// <summary>A stage that the run does not have would be an empty log for ever.</summary>
    private async Task<LogQuery> ExistingLogs(GetLogsRequest request, CancellationToken cancellation)
    {
        var query = Query(request);
        await known.ExistingStage(query.Run, query.Stage, cancellation);
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

        int attempts = (await known.Described(query.Run, cancellation)).Stages.Where(s => query.Stage is null || s.Name == query.Stage)
            .Max(s => s.Attempt);
        if (query.Attempt > attempts)
        {
            throw new RpcException(new Status(
                StatusCode.NotFound, $"{query.Run} has had no attempt {query.Attempt}{(query.Stage is null ? "" : $" of {query.Stage}")}; "
                    + $"the newest is {attempts}."));
        }
    }

    private static LogQuery Query(GetLogsRequest request) => new(
        Checked.Name(request.Run, "run"), Checked.OptionalName(request.Stage, "stage"), Checked.NotNegative(request.Attempt, "attempt"),
        request.HasRank ? Checked.NotNegative(request.Rank, "rank") : null, Checked.PageSize(request.Tail, TailUsual, TailMost),
        Checked.Search(request.Contains, "contains"));

    private static LogEntry ToProto(StoredLine stored) => new()
    {
        At = stored.Line.At.ToTimestamp(), Stage = stored.Stage, Attempt = stored.Attempt, Rank = stored.Rank, Node = stored.Node,
        Line = stored.Number, Text = stored.Line.Text, Error = stored.Line.Error,
    };
}
