using System.Collections.Concurrent;
using System.Threading.Channels;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// Tells those who follow a run in this process that something of it was written, here or, by <see cref="SiloTidings"/>, by another
/// silo. It carries no data: they read what is new.
/// </summary>
public sealed class ChangeFeed
{
    private readonly ConcurrentDictionary<Channel<bool>, string> followers = new();
    private long runsRecorded;

    /// <summary>
    /// Grows with each run that is recorded by this process, and with those that it hears of: while it stands, the list is what it was.
    /// </summary>
    public long RunsRecorded => Interlocked.Read(ref runsRecorded);

    /// <summary>Something of a run was written here; true: the run itself was recorded.</summary>
    internal event Action<string, bool>? WrittenHere;

    public void RunRecorded(string run)
    {
        Heard(run, recorded: true);
        WrittenHere?.Invoke(run, true);
    }

    public void Changed(string run)
    {
        Heard(run, recorded: false);
        WrittenHere?.Invoke(run, false);
    }

    /// <summary>What was not heard of for a while may be anything: all who follow look again.</summary>
    internal void HeardAgain()
    {
        Interlocked.Increment(ref runsRecorded);
        foreach (var channel in followers.Keys)
        {
            channel.Writer.TryWrite(true);
        }
    }

    /// <summary>By whichever silo it was written.</summary>
    internal void Heard(string run, bool recorded)
    {
        if (recorded)
        {
            Interlocked.Increment(ref runsRecorded);
        }

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
    /// Yields now and whenever the run changed. What nobody told, of another silo, is found after <paramref name="atLeastEvery"/>.
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
