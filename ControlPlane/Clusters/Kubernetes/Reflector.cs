using System.Collections.Immutable;
using System.Text.Json;
using k8s;
using k8s.Autorest;
using k8s.Models;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>How one kind of object is listed and watched.</summary>
/// <param name="List">All of them, and the version from which a watch goes on.</param>
/// <param name="Watch">Changes since a version. A version that is too old is told through the action, and the stream then just ends.
/// </param>
internal sealed record WatchedKind<T>(
    string Name, Func<CancellationToken, Task<(IEnumerable<T> Items, string Version)>> List,
    Func<string, Action<Exception>, CancellationToken, IAsyncEnumerable<(WatchEventType Type, T Item)>> Watch);

/// <summary>
/// Objects of the cluster as they are now: a list, then a watch, for ever. A watch that ends quietly, which servers do often, goes on
/// from its last version; one that is too old (410) is listed again, and so is what failed twice. What is kept of an object is only what we
/// read of it.
/// </summary>
internal sealed partial class Reflector<T, TFact>(WatchedKind<T> kind, Func<T, TFact?> read, TimeProvider clock, ILogger log)
    : IAsyncDisposable
    where T : IKubernetesObject<V1ObjectMeta>
    where TFact : class
{
    /// <summary>The server ends a watch after so long; a connection that died unnoticed is found a little later.</summary>
    public static readonly TimeSpan WatchFor = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan WatchAtMost = TimeSpan.FromSeconds(90);

    /// <summary>In peace a watch that ends is all that is heard; two that were cut are followed by a list.</summary>
    private static readonly TimeSpan SilentAtMost = WatchAtMost * 2;

    /// <summary>Ours: a list of all repairs what a watch might have missed without our noticing.</summary>
    private static readonly TimeSpan ListEvery = TimeSpan.FromMinutes(10);

    /// <summary>Ours: pages of 500 objects come within a second each.</summary>
    private static readonly TimeSpan ListAtMost = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(3);

    private readonly CancellationTokenSource stopping = new();
    private readonly TaskCompletionSource answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ImmutableDictionary<string, TFact> facts = ImmutableDictionary<string, TFact>.Empty.WithComparers(StringComparer.Ordinal);
    private Task? running;
    private long heard = clock.GetTimestamp();
    private Failing? trouble;
    private int pauses;

    /// <summary>By "namespace/name".</summary>
    public ImmutableDictionary<string, TFact> Facts => Volatile.Read(ref facts);

    /// <summary>Ended with the first list, or with the first reason why there is none.</summary>
    public Task Answered => answered.Task;

    /// <summary>A list has come at some time.</summary>
    public bool Listed { get; private set; }

    /// <summary>Why nothing is heard, and for how long; empty: all is well, as far as that is known.</summary>
    public (string Why, TimeSpan For) Trouble
    {
        get
        {
            var silent = clock.GetElapsedTime(Interlocked.Read(ref heard));
            return Volatile.Read(ref trouble) is { } failing ? (failing.Why, clock.GetElapsedTime(failing.Since))
                : silent > SilentAtMost ? ("its connections are open but nothing arrives", silent) : ("", TimeSpan.Zero);
        }
    }

    public void Begin() => running ??= Run(stopping.Token);

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await (running ?? Task.CompletedTask);
        stopping.Dispose();
    }

    private async Task Run(CancellationToken stop)
    {
        string? version = null;
        long listedAt = 0;
        int failures = 0;
        while (!stop.IsCancellationRequested)
        {
            long began = clock.GetTimestamp();
            try
            {
                if (version is null || clock.GetElapsedTime(listedAt) > ListEvery)
                {
                    version = await List(stop);
                    listedAt = clock.GetTimestamp();
                }

                version = await Follow(version, stop);
                failures = 0;
            }
            catch (Exception e) when (e is HttpRequestException or IOException && version is not null && Served(began))
            {
                // A watch that had nothing to tell until its time was up ends so on some servers: without the end of its answer.
                failures = 0;
                Hear();
            }
            catch (Exception e) when (e is HttpRequestException or HttpOperationException or KubernetesException or IOException
                or JsonException or OperationCanceledException or TimeoutException)
            {
                failures++;
                if ((failures > 1 || version is null) && !stop.IsCancellationRequested)
                {
                    // Once is a cut connection, and the watch is taken up again. Twice is trouble, which only a list can end: a watch that
                    // stands again says nothing in peace, and its version may be one that this server never had.
                    version = null;
                    Tell(e is HttpOperationException refused ? ApiCalls.Said(refused) : e.Message);
                }
            }

            pauses = failures > 0 || clock.GetElapsedTime(began) < FirstPause ? pauses + 1 : 0;
            await Pause(stop);
        }
    }

    private bool Served(long began) => clock.GetElapsedTime(began) is var took && took >= WatchFor && took < WatchAtMost;

    private async Task<string> List(CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(ListAtMost);
        var (items, version) = await kind.List(patience.Token);
        var all = ImmutableDictionary.CreateBuilder<string, TFact>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (read(item) is { } fact)
            {
                all[KeyOf(item)] = fact;
            }
        }

        Volatile.Write(ref facts, all.ToImmutable());
        Listed = true;
        Hear();
        answered.TrySetResult();
        return version;
    }

    /// <returns>From where to go on; null: the server has forgotten it.</returns>
    private async Task<string?> Follow(string version, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(WatchAtMost);
        Exception? told = null;
        await foreach (var (type, item) in kind.Watch(version, e => told = e, patience.Token))
        {
            if (type == WatchEventType.Error)
            {
                return null;
            }

            version = item.Metadata.ResourceVersion;
            Take(type, item);
            Hear();
        }

        if (told is not null)
        {
            // Gone (410) comes only by this way. Whatever else it is: what lies between is not known, so all is listed anew.
            return null;
        }

        Hear();
        return version;
    }

    private void Take(WatchEventType type, T item)
    {
        if (type == WatchEventType.Bookmark)
        {
            return;
        }

        string key = KeyOf(item);
        var fact = type == WatchEventType.Deleted ? null : read(item);
        Volatile.Write(ref facts, fact is null ? facts.Remove(key) : facts.SetItem(key, fact));
    }

    private static string KeyOf(T item) => $"{item.Metadata.NamespaceProperty}/{item.Metadata.Name}";

    private void Hear()
    {
        Interlocked.Exchange(ref heard, clock.GetTimestamp());
        if (Interlocked.Exchange(ref trouble, null) is not null)
        {
            LogAgain(log, kind.Name);
        }
    }

    private void Tell(string why)
    {
        if (trouble?.Why != why)
        {
            Volatile.Write(ref trouble, new Failing(why, trouble?.Since ?? clock.GetTimestamp()));
            LogTrouble(log, kind.Name, why);
        }

        answered.TrySetResult();
    }

    private sealed record Failing(string Why, long Since);

    /// <summary>None after a watch of usual length; else longer each time, so that a server that comes up is not beaten down.</summary>
    private async Task Pause(CancellationToken stop)
    {
        if (pauses > 0)
        {
            double times = Math.Pow(2, Math.Min(pauses - 1, 10));
            var pause = TimeSpan.FromMilliseconds(Math.Min(LongestPause.TotalMilliseconds, FirstPause.TotalMilliseconds * times));
            await Task.Delay(pause, clock, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The watch of {Kind} failed and is begun again: {Why}")]
    private static partial void LogTrouble(ILogger log, string kind, string why);

    [LoggerMessage(Level = LogLevel.Information, Message = "The watch of {Kind} goes on")]
    private static partial void LogAgain(ILogger log, string kind);
}
