using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DeepSeekOps.ControlPlane.Api.Calls;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>A run as its grain tells it. Who reads slowly gets the newest view and misses those between.</summary>
internal sealed class RunWatch : IRunObserver
{
    /// <summary>
    /// The grain forgets an observer after 5 minutes, and all of them when it moves. It sends the view anew, which shows those who look
    /// that an unchanged view is not an old one, and that one has grown old in a run that has no news.
    /// </summary>
    private static readonly TimeSpan RenewEvery = CallStreams.SpeakEvery;

    private readonly Channel<RunView> newest =
        Channel.CreateBounded<RunView>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });

    private RunWatch()
    {
    }

    public Task Changed(RunView run)
    {
        newest.Writer.TryWrite(run);
        return Task.CompletedTask;
    }

    public static async IAsyncEnumerable<RunView> Of(IGrainFactory grains, string name, [EnumeratorCancellation]
        CancellationToken cancellation)
    {
        var watch = new RunWatch();
        var run = grains.GetGrain<IRunGrain>(name);
        var reference = grains.CreateObjectReference<IRunObserver>(watch);
        try
        {
            while (!cancellation.IsCancellationRequested)
            {
                await run.Subscribe(reference);
                using var renew = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                renew.CancelAfter(RenewEvery);
                while (await watch.Next(renew.Token) is { } view)
                {
                    yield return view;
                }
            }
        }
        finally
        {
            await Leave(run, reference);
            grains.DeleteObjectReference<IRunObserver>(reference);
            // Orleans holds observers weakly.
            GC.KeepAlive(watch);
        }
    }

    /// <summary>Or the grain would speak for minutes to somebody who is not there, and log each word as an error.</summary>
    private static async Task Leave(IRunGrain run, IRunObserver reference)
    {
        try
        {
            await run.Unsubscribe(reference);
        }
        catch (Exception e) when (e is OrleansException or TimeoutException or OperationCanceledException or InvalidOperationException)
        {
            // The silo stops, or the grain is away and has forgotten its observers anyway.
        }
    }

    /// <summary>Null: it is time to renew, or to end.</summary>
    private async Task<RunView?> Next(CancellationToken until)
    {
        try
        {
            return await newest.Reader.ReadAsync(until);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }
}
