using System.Collections.Concurrent;
using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Microsoft.Extensions.Options;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>
/// Pods of gangs on the nodes of a Kubernetes cluster. It keeps nothing that the API server does not have: a control plane that comes
/// after us finds the gangs by their labels. What a node, a pod or an end means is decided in Decisions/Pods.
/// </summary>
public sealed partial class KubernetesCluster : ITrainingCluster, IAsyncDisposable
{
    /// <summary>A tick waits so long for the first list; a cluster that cannot be asked is unknown, and asked again.</summary>
    private static readonly TimeSpan FirstList = TimeSpan.FromSeconds(5);

    /// <summary>A folder on a network disk that hangs must not hold up a stage.</summary>
    private static readonly TimeSpan LookTime = TimeSpan.FromSeconds(5);

    /// <summary>Evidence is good to have, and an end does not wait for it: the log of a pod whose kubelet is gone never comes.</summary>
    private static readonly TimeSpan EvidenceTime = TimeSpan.FromSeconds(3);

    private const string Leftover = "left over from an earlier start; nothing needs it";

    private readonly KubernetesClusterOptions options;
    private readonly TimeProvider clock;
    private readonly ILogger log;
    private readonly EvidenceShelf shelf;
    private readonly Lazy<Eyes> eyes;
    private readonly ConcurrentDictionary<string, string> bootOf = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<GangId, bool> over = new();
    private volatile ImmutableHashSet<GangId>? held;
    private bool putAway;
    private string notShown = "";

    public KubernetesCluster(IOptions<KubernetesClusterOptions> options, TimeProvider clock, ILogger<KubernetesCluster> log)
    {
        (this.options, this.clock, this.log) = (options.Value, clock, log);
        shelf = new EvidenceShelf(this.options.DataDirectory, this.options.EvidenceFor, clock);
        eyes = new Lazy<Eyes>(() => new Eyes(this.options, clock, log));
    }

    public string Kind => "kubernetes";

    public bool Simulated => false;

    public Func<CancellationToken, Task<IGeneratingPod>> Generation => cancellation =>
        AttachedPod.Begin(eyes.Value.Api, options.TryStartsWithin, clock, cancellation);

    private PodSettings Settings => options.Pods;

    public void Holds(ImmutableHashSet<GangId> held) => this.held = held;

    public async Task<ClusterSnapshot> Observe(CancellationToken cancellation)
    {
        var seen = await Seen(cancellation);
        var nodes = seen.Nodes;
        // Pods of ours whose gang was let go hold their GPUs until they are gone: for placement they are as another's.
        var holders = seen.Others.Concat(seen.Own.Where(p => p.Gang is { } gang && IsOver(gang))).ToLookup(p => p.Node);
        ImmutableArray<NodeSeen> shown =
        [
            .. nodes.Values.Where(n => NodeReading.IsOurs(n, Settings)).OrderBy(n => n.Name, StringComparer.Ordinal)
                .Select(n => NodeReading.Of(n, holders[n.Name], Settings)),
        ];
        foreach (var pod in seen.Own.Where(p => p.Started && nodes.ContainsKey(p.Node)))
        {
            bootOf.TryAdd(pod.Uid, nodes[pod.Node].BootId);
        }

        return new ClusterSnapshot(shown,
            [.. seen.Own.Select(p => PodReading.Of(p, nodes.GetValueOrDefault(p.Node))).OfType<PodSeen>()],
            clock.GetUtcNow());
    }

    public async Task<StageFolder?> LookAtCheckpoints(StageId stage, CancellationToken cancellation)
    {
        try
        {
            return await Task.Run(() => CheckpointShelf.Read(Settings.Checkpoints, stage), cancellation)
                .WaitAsync(LookTime, clock, cancellation);
        }
        catch (Exception e) when (e is TimeoutException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public async Task CreatePods(GangGrant gang, CancellationToken cancellation)
    {
        var objects = GangObjects.Of(gang, Settings, node => options.TokenOf(gang.Id, node), options.Pin);
        var missing = objects.Missing((await Seen(cancellation)).Own);
        if (missing.IsEmpty)
        {
            return;
        }

        var api = eyes.Value.Api;
        var owner = await api.MakeOwner(objects, cancellation);
        if (!gang.Newcomers.IsEmpty)
        {
            // It has no token of theirs, and whoever is there has read its own.
            await api.RemoveSecret(objects.Name, cancellation);
        }

        await api.MakeSecret(objects, owner, cancellation);
        await Parallel.ForEachAsync(missing, AtATime(cancellation), async (pod, token) =>
        {
            if (await api.MakePod(objects, pod, owner, token))
            {
                LogMade(pod.Name, pod.Node, gang.Id);
            }
        });
    }

    /// <summary>Those that are gone are told from what was kept of them.</summary>
    public async Task<ImmutableArray<PodEvidence>> EvidenceOf(GangId gang, CancellationToken cancellation)
    {
        var ended = (await Seen(cancellation)).Own.Where(p => p.Gang == gang && (p.Ended || p.ExitCode is not null || p.Deleting));
        await Parallel.ForEachAsync(ended, AtATime(cancellation), async (pod, token) => await KeepEvidence(pod, "it had ended", token));
        return shelf.Of(gang);
    }

    public async Task<bool> DeletePods(
        GangId gang, ImmutableArray<NodeId> nodes, string reason, CancellationToken cancellation) =>
        nodes.IsEmpty ? await End(gang, reason, options.FencePatience, cancellation) != Gone.No
            : PodEnding.Certain(await Ending(await PodsOn(gang, nodes, cancellation), reason, options.FencePatience, cancellation));

    public async Task<ImmutableArray<PodSeen>> FenceAllBut(
        Func<CancellationToken, Task<ImmutableHashSet<GangId>>> wanted, CancellationToken cancellation)
    {
        var seen = await Seen(cancellation);
        var owners = await eyes.Value.Api.Owners(gang: null, cancellation);
        var there = owners.Select(o => o.Metadata.Annotations is { } a ? GangNames.Read(a.AsReadOnly()) : null)
            .Concat(seen.Own.Select(p => p.Gang)).OfType<GangId>().ToImmutableHashSet();
        var gangs = there.Except(await wanted(cancellation));
        var ended = ImmutableArray.CreateBuilder<PodSeen>();
        foreach (var gang in gangs)
        {
            var pods = seen.Own.Where(p => p.Gang == gang).ToList();
            // A leftover may save first: nobody waits for its nodes.
            if (await End(gang, Leftover, Settings.SaveWithin + PodSettings.EndMargin, cancellation) == Gone.All)
            {
                ended.AddRange(pods.Select(p => PodReading.Of(p, node: null)).OfType<PodSeen>());
            }
        }

        return ended.ToImmutable();
    }

    public async Task ShowCordons(ImmutableDictionary<NodeId, string> cordoned, CancellationToken cancellation)
    {
        var ours = (await Seen(cancellation)).Nodes.Values.Where(n => NodeReading.IsOurs(n, Settings));
        var names = cordoned.ToDictionary(c => c.Key.Name, c => c.Value, StringComparer.Ordinal);
        foreach (var mark in NodeMarks.Of(ours, names, Settings))
        {
            try
            {
                await eyes.Value.Api.Mark(mark, cancellation);
            }
            catch (ClusterCallException e)
            {
                // It holds here all the same; others may place there until it can be shown.
                if (Interlocked.Exchange(ref notShown, e.Message) != e.Message)
                {
                    LogNotShown(mark.Node, e.Message);
                }

                return;
            }
        }

        notShown = "";
    }

    /// <summary>Twice is once: the container knows it under two types, and puts it away under each.</summary>
    public async ValueTask DisposeAsync()
    {
        if (eyes.IsValueCreated && !Interlocked.Exchange(ref putAway, true))
        {
            await eyes.Value.DisposeAsync();
        }
    }

    /// <summary>One round; what is not yet certain is asked for again by whoever asked.</summary>
    private async Task<Gone> End(GangId gang, string reason, TimeSpan grace, CancellationToken cancellation)
    {
        var api = eyes.Value.Api;
        string name = GangNames.Of(gang);
        var pods = await api.PodsOf(name, cancellation);
        if (pods.Count == 0)
        {
            await api.RemoveOwner(name, cancellation);
            over.TryRemove(gang, out _);
            return Gone.All;
        }

        var steps = await Ending(pods, reason, grace, cancellation);
        if (!PodEnding.Certain(steps))
        {
            return Gone.No;
        }

        // Objects that only wait for a kubelet stay, with their owner: they are looked at again as leftovers.
        if (steps.OfType<PodStep.Wait>().FirstOrDefault() is { } left)
        {
            if (over.TryAdd(gang, true))
            {
                LogFencedBehind(gang, left.Why);
            }

            return Gone.Fenced;
        }

        await api.RemoveOwner(name, cancellation);
        over.TryRemove(gang, out _);
        return Gone.All;
    }

    private async Task<IReadOnlyList<PodFacts>> PodsOn(GangId gang, ImmutableArray<NodeId> nodes, CancellationToken cancellation) =>
        [.. (await eyes.Value.Api.PodsOf(GangNames.Of(gang), cancellation)).Where(p => nodes.Contains(new NodeId(p.Node)))];

    /// <summary>Takes the steps that end these pods.</summary>
    private async Task<ImmutableArray<PodStep>> Ending(
        IReadOnlyList<PodFacts> pods, string reason, TimeSpan grace, CancellationToken cancellation)
    {
        var steps = PodEnding.Of(pods, (await Seen(cancellation)).Nodes, bootOf, grace);
        var byName = pods.ToDictionary(p => p.Name, StringComparer.Ordinal);
        await Parallel.ForEachAsync(steps, AtATime(cancellation), async (step, token) => await Do(step, byName[step.Pod], reason, token));
        return steps;
    }

    private async Task Do(PodStep step, PodFacts pod, string reason, CancellationToken cancellation)
    {
        switch (step)
        {
            case PodStep.Delete delete:
                await KeepEvidence(pod, reason, cancellation);
                await eyes.Value.Api.EndPod(pod, delete.Grace, cancellation);
                break;
            case PodStep.Force force:
                LogForced(pod.Name, force.Why);
                await eyes.Value.Api.EndPod(pod, TimeSpan.Zero, cancellation);
                break;
            case PodStep.Wait:
                break;
            default:
                throw new System.Diagnostics.UnreachableException($"step {step}");
        }
    }

    private async Task KeepEvidence(PodFacts pod, string reason, CancellationToken cancellation)
    {
        if (pod.Gang is not { } gang || shelf.Has(pod.Name))
        {
            return;
        }

        string tail = await Have(token => eyes.Value.Api.LogTail(pod, token), "", cancellation);
        var events = await Have(token => eyes.Value.Api.EventsOf(pod, token), [], cancellation);
        string why = pod.Reason.Length > 0 ? $"{reason}; {pod.Reason}" : reason;
        shelf.Keep(new PodEvidence(gang, new NodeId(pod.Node), pod.Name, pod.ExitCode, why, tail, [.. events], clock.GetUtcNow()));
    }

    private static async Task<T> Have<T>(Func<CancellationToken, Task<T>> ask, T otherwise, CancellationToken cancellation)
    {
        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            patience.CancelAfter(EvidenceTime);
            return await ask(patience.Token);
        }
        catch (Exception e) when (e is HttpRequestException or HttpOperationException or IOException
            || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return otherwise;
        }
    }

    private ParallelOptions AtATime(CancellationToken cancellation) =>
        new() { MaxDegreeOfParallelism = options.Parallel, CancellationToken = cancellation };

    private enum Gone
    {
        No = 0,
        /// <summary>What may still run can do no harm; its objects are still there.</summary>
        Fenced = 1,
        All = 2,
    }

    /// <summary>Let go of by us, or by another silo: who grants nodes says who has them.</summary>
    private bool IsOver(GangId gang) => over.ContainsKey(gang) || held is { } known && !known.Contains(gang);

    private Task<SeenObjects> Seen(CancellationToken cancellation) => eyes.Value.Look(FirstList, cancellation);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The cordon of {Node} holds here and cannot be shown in Kubernetes: {Why}")]
    private partial void LogNotShown(string node, string why);

    [LoggerMessage(Level = LogLevel.Information, Message = "Made pod {Pod} on {Node} for {Gang}")]
    private partial void LogMade(string pod, NodeId node, GangId gang);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Took pod {Pod} away without its kubelet: {Why}")]
    private partial void LogForced(string pod, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Gang} goes on without having seen all of its pods end: {Why}")]
    private partial void LogFencedBehind(GangId gang, string why);
}
