using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Grains;
using Google.Protobuf;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Streams. They end when the caller goes and when the control plane stops; nobody is kept waiting by a page left open.</summary>
internal sealed partial class OpsGrpcService
{
    /// <summary>A list is read this often; it is sent when it is another one.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What has not changed is sent again this often: a page calls what it has not heard of for 5 s old, and one word may be late.
    /// </summary>
    public static readonly TimeSpan SpeakEvery = TimeSpan.FromSeconds(2);

    public override Task WatchRun(GetRunRequest request, IServerStreamWriter<Run> responseStream, ServerCallContext context) =>
        UntilGone(context, async token =>
        {
            string name = await Known(request.Name, "name");
            await Described(name, token);
            bool first = true;
            await foreach (var run in RunWatch.Of(grains, name, token))
            {
                // The text of a pipeline does not change, and may be twenty times as long as all that does.
                await responseStream.WriteAsync((first ? run : run with { PipelineText = "" }).ToProto(clock.GetUtcNow()), token);
                first = false;
            }
        });

    public override Task WatchRuns(ListRunsRequest request, IServerStreamWriter<ListRunsReply> responseStream, ServerCallContext context) =>
        UntilGone(context, async token =>
        {
            var query = Query(request);
            await foreach (var reply in runs.Follow(query, request.ChangesOnly, LookEvery, token))
            {
                await responseStream.WriteAsync(reply, token);
            }
        });

    public override Task WatchCluster(GetClusterRequest request, IServerStreamWriter<Cluster> responseStream, ServerCallContext context) =>
        UntilGone(context, token => WhenAnother(Described, responseStream, token));

    public override Task<Health> GetHealth(GetHealthRequest request, ServerCallContext context) => Task.FromResult(health.ToProto());

    public override Task WatchHealth(GetHealthRequest request, IServerStreamWriter<Health> responseStream, ServerCallContext context) =>
        UntilGone(context, token => WhenAnother(() => Task.FromResult(health.ToProto()), responseStream, token));

    public override Task WatchEvents(ListEventsRequest request, IServerStreamWriter<Event> responseStream, ServerCallContext context) =>
        UntilGone(context, async token =>
        {
            string run = await Existing(request.Run, token);
            await foreach (var item in history.FollowEvents(run, Checked.NotNegative(request.After, "after"), token))
            {
                await responseStream.WriteAsync(item.Event.ToProto(item.Number), token);
            }
        });

    public override Task WatchLogs(GetLogsRequest request, IServerStreamWriter<LogEntry> responseStream, ServerCallContext context) =>
        UntilGone(context, async token =>
        {
            var query = await ExistingLogs(request, token);
            await foreach (var line in logs.Follow(query, token))
            {
                await responseStream.WriteAsync(ToProto(line), token);
            }
        });

    private static async Task WhenAnother<T>(Func<Task<T>> look, IServerStreamWriter<T> stream, CancellationToken token)
        where T : class, IMessage<T>
    {
        using var timer = new PeriodicTimer(LookEvery);
        T? sent = null;
        long sentAt = 0;
        do
        {
            var now = await look();
            if (!now.Equals(sent) || TimeProvider.System.GetElapsedTime(sentAt) >= SpeakEvery)
            {
                await stream.WriteAsync(now, token);
                (sent, sentAt) = (now, TimeProvider.System.GetTimestamp());
            }
        }
        while (await timer.WaitForNextTickAsync(token));
    }

    private async Task UntilGone(ServerCallContext context, Func<CancellationToken, Task> stream)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            await stream(gone.Token);
        }
        catch (Exception e) when (gone.IsCancellationRequested
            && e is OperationCanceledException or InvalidOperationException or IOException)
        {
            // The caller hung up, or the control plane stops: either way the stream has ended.
        }
    }
}
