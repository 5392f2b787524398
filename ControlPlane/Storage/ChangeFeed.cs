using System.Collections.Concurrent;
using System.Threading.Channels;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// Tells those who follow a run in this process that something of it was written. It carries no data: they read what is new.
/// </summary>
public sealed class ChangeFeed
{
    private readonly ConcurrentDictionary<Channel<bool>, string> followers = new();
    private long runsRecorded;

    /// <summary>Grows with each run that is recorded by this process: while it stands, the list of runs is what it was.</summary>
    public long RunsRecorded => Interlocked.Read(ref runsRecorded);

    public void RunRecorded(string run)
    {
        Interlocked.Increment(ref runsRecorded);
        Changed(run);
    }

    public void Changed(string run)
    {
        foreach (var (channel, followed) in followers)
        {
            if (followed == run)
            {
                // Capacity one: a follower that is behind hears once that there is more.
                channel.Writer.TryWrite(true);
            }
        }
    }

    /// <summary>
    /// Yields now and whenever the run changed; other silos' writes are found by looking again after <paramref name="atLeastEvery"/>.
    /// </summary>
    public async IAsyncEnumerable<bool> Follow(
        string run, TimeSpan atLeastEvery, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        var channel = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        followers[channel] = run;
        try
        {
            while (!cancellation.IsCancellationRequested)
            {
                yield return true;
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                limit.CancelAfter(atLeastEvery);
                try
                {
                    await channel.Reader.ReadAsync(limit.Token);
                }
                catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
                {
                    // Nothing was heard: look all the same.
                }
            }
        }
        finally
        {
            followers.TryRemove(channel, out _);
        }
    }
}
