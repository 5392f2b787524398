using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// The timelines of all runs on the terminal of `dev`, from its start on: what a person would otherwise ask `dsops events -f` for.
/// </summary>
internal sealed class Timeline : IDisposable
{
    /// <summary>Those that came last, where more than so many run at once: each is a stream of its own.</summary>
    private const int RunsFollowed = 500;

    private readonly OpsService.OpsServiceClient client;
    private readonly Terminal terminal;
    private readonly CancellationTokenSource stopping;
    private readonly DateTimeOffset since = TimeProvider.System.GetUtcNow();
    private readonly HashSet<string> followed = [];
    private readonly Lock writing = new();
    private readonly LiveFold fold = new();

    private Timeline(OpsService.OpsServiceClient client, Terminal terminal, CancellationToken stop)
    {
        this.client = client;
        this.terminal = terminal;
        stopping = CancellationTokenSource.CreateLinkedTokenSource(stop);
    }

    public static Timeline Begin(OpsService.OpsServiceClient client, Terminal terminal, CancellationToken stop)
    {
        var timeline = new Timeline(client, terminal, stop);
        _ = timeline.FollowRuns();
        return timeline;
    }

    public void Dispose()
    {
        stopping.Cancel();
        stopping.Dispose();
    }

    private async Task FollowRuns()
    {
        var token = stopping.Token;
        try
        {
            using var call =
                client.WatchRuns(new ListRunsRequest { State = "active", PageSize = RunsFollowed, ChangesOnly = true },
                    cancellationToken: token);
            while (await call.ResponseStream.MoveNext(token))
            {
                foreach (var run in call.ResponseStream.Current.Runs.Where(run => !States.IsEnded(run.State) && followed.Add(run.Name)))
                {
                    _ = FollowRun(run.Name, token);
                }
            }
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            // The control plane stops; its last words are said elsewhere.
        }
    }

    private async Task FollowRun(string run, CancellationToken token)
    {
        try
        {
            using var call = client.WatchEvents(new ListEventsRequest { Run = run }, cancellationToken: token);
            while (await call.ResponseStream.MoveNext(token))
            {
                var item = call.ResponseStream.Current;
                if (item.At?.ToDateTimeOffset() >= since)
                {
                    lock (writing)
                    {
                        foreach (var line in fold.Take(item))
                        {
                            EventsVerb.Write(terminal, line, withRun: true);
                        }
                    }
                }
            }
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            // As above.
        }
    }
}
