using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Runs;
using Grpc.Core;
using Run = DeepSeekOps.Contracts.Ops.V1.Run;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>Runs: what they are now, and what people tell them.</summary>
internal sealed class RunCalls(
    IGrainFactory grains, KnownRuns known, RunLists runs, CallStreams streams, GpuPrice price, TimeProvider clock)
{
    private const int RunsUsual = 100;
    private const int RanksUsual = 200;

    public async Task<Run> GetRun(GetRunRequest request, ServerCallContext context) =>
        Told(await known.Described(await known.Named(request.Name, "name"), context.CancellationToken));

    private Run Told(RunView run) => run.ToProto(clock.GetUtcNow(), price.DollarsPerHour);

    public async Task<ListRunsReply> ListRuns(ListRunsRequest request, ServerCallContext context) =>
        await runs.Read(Query(request, context), context.CancellationToken);

    public Task WatchRun(GetRunRequest request, IServerStreamWriter<Run> responseStream, ServerCallContext context) =>
        streams.UntilGone(context, async token =>
        {
            string name = await known.Named(request.Name, "name");
            await known.Described(name, token);
            bool first = true;
            await foreach (var run in RunWatch.Of(grains, name, token))
            {
                // The text of a pipeline does not change, and may be twenty times as long as all that does.
                await responseStream.WriteAsync(Told(first ? run : run with { PipelineText = "" }), token);
                first = false;
            }
        });

    public Task WatchRuns(ListRunsRequest request, IServerStreamWriter<ListRunsReply> responseStream, ServerCallContext context) =>
        streams.UntilGone(context, async token =>
        {
            var query = Query(request, context);
            await foreach (var reply in runs.Follow(query, request.ChangesOnly, CallStreams.LookEvery, token))
            {
                await responseStream.WriteAsync(reply, token);
            }
        });

    public Task<Run> PauseRun(RunCommand request, ServerCallContext context) =>
        Command(request.Name, context, run => run.Pause(Checked.Reason(request.Reason), context.CancellationToken));

    public Task<Run> ResumeRun(RunCommand request, ServerCallContext context) =>
        Command(request.Name, context, run => run.Resume(Checked.Reason(request.Reason), context.CancellationToken));

    public Task<Run> CancelRun(RunCommand request, ServerCallContext context) =>
        Command(request.Name, context, run => run.Cancel(Checked.Reason(request.Reason), context.CancellationToken));

    public Task<Run> RetryRun(RetryRunRequest request, ServerCallContext context)
    {
        string stage = Checked.OptionalName(request.Stage, "stage") ?? "";
        long? step = request.HasCheckpointStep ? Checked.NotNegative(request.CheckpointStep, "checkpointStep") : null;
        return Command(request.Name, context, run => run.Retry(stage, step, context.CancellationToken));
    }

    /// <summary>The ranks of a stage one by one: a run's view tells the odd ones of many alone.</summary>
    public async Task<ListRanksReply> ListRanks(ListRanksRequest request, ServerCallContext context)
    {
        var (run, stage) = (Checked.Name(request.Run, "run"), Checked.Name(request.Stage, "stage"));
        string? state = Checked.OptionalName(request.State, "state");
        string? node = Checked.OptionalName(request.Node, "node");
        int size = Checked.PageSize(request.PageSize, RanksUsual, Checked.PageMost);
        await known.ExistingStage(run, stage, context.CancellationToken);
        var all = await grains.GetGrain<IStageGrain>($"{run}/{stage}").Ranks();
        var wanted = all.Where(rank => !request.HasAfter || rank.Rank > request.After)
            .Where(rank => node is null || rank.Node == node)
            .Select(rank => rank.ToProto()).Where(rank => state is null || rank.State == state).Take(size + 1).ToList();
        return new ListRanksReply { Ranks = { wanted.Take(size) }, More = wanted.Count > size };
    }

    internal async Task<Run> Command(string name, ServerCallContext context, Func<IRunGrain, Task<CommandResult>> command)
    {
        await known.Named(name, "name");
        return await command(grains.GetGrain<IRunGrain>(name)) switch
        {
            CommandResult.Taken taken => Told(taken.Run),
            CommandResult.Refused refused => throw new RpcException(new Status(StatusCode.FailedPrecondition, refused.Reason)),
            CommandResult.NoSuchRun => throw await known.NoSuchRun(name, context.CancellationToken),
            var other => throw new System.Diagnostics.UnreachableException($"result {other}"),
        };
    }

    private static RunListQuery Query(ListRunsRequest request, ServerCallContext context)
    {
        string[] searched = [Checked.Search(request.NameContains, "nameContains"), Checked.Search(request.Search, "search")];
        string search = string.Join(' ', searched.Where(text => text.Length > 0));
        var after = request.PageToken.Length == 0 ? null : RunListPlace.FromToken(request.PageToken)
            ?? throw Checked.Invalid($"pageToken '{Checked.Shown(request.PageToken)}' is not one of this control plane's; leave it out to "
                + "begin with the first page.");
        return new RunListQuery(
            search, Checked.OptionalName(request.State, "state") ?? "", after,
            Checked.PageSize(request.PageSize, RunsUsual, Checked.PageMost))
        {
            Team = Gate.Of(context).Team,
        };
    }
}
