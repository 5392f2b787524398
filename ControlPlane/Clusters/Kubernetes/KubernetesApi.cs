using System.Globalization;
using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Pods;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Connection = k8s.Kubernetes;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>The calls that we make to the API server; deploy/kubernetes/access.yaml grants these verbs and no others.</summary>
internal sealed class KubernetesApi(Connection client, PodSettings settings, TimeProvider clock) : IDisposable
{
    /// <summary>Of a list: so many per answer, so that a large cluster does not hold up its API server.</summary>
    private const int PageSize = 500;

    private const int LogLines = 200;
    private const int LogBytes = 64 << 10;

    private readonly ApiCalls calls = new(clock);

    private static int WatchSeconds => (int)Reflector<V1Pod, PodFacts>.WatchFor.TotalSeconds;

    public WatchedKind<V1Node> Nodes => new("nodes",
        stop => Pages<V1Node, V1NodeList>((more, token) =>
            client.CoreV1.ListNodeAsync(continueParameter: more, limit: PageSize, cancellationToken: token), stop),
        (version, onError, stop) => client.CoreV1.WatchListNodeAsync(
            allowWatchBookmarks: true, resourceVersion: version, timeoutSeconds: WatchSeconds, onError: onError, cancellationToken: stop));

    /// <summary>Ours, in whatever state.</summary>
    public WatchedKind<V1Pod> OwnPods => new("our pods",
        stop => Pages<V1Pod, V1PodList>((more, token) => client.CoreV1.ListNamespacedPodAsync(
            settings.Namespace, continueParameter: more, labelSelector: Manifests.Selector(settings), limit: PageSize,
            cancellationToken: token), stop),
        (version, onError, stop) => client.CoreV1.WatchListNamespacedPodAsync(
            settings.Namespace, allowWatchBookmarks: true, labelSelector: Manifests.Selector(settings), resourceVersion: version,
            timeoutSeconds: WatchSeconds, onError: onError, cancellationToken: stop));

    /// <summary>Of everybody, as far as they hold anything.</summary>
    public WatchedKind<V1Pod> AllPods => new("pods of all namespaces",
        stop => Pages<V1Pod, V1PodList>((more, token) => client.CoreV1.ListPodForAllNamespacesAsync(
            continueParameter: more, fieldSelector: Holding, limit: PageSize, cancellationToken: token), stop),
        (version, onError, stop) => client.CoreV1.WatchListPodForAllNamespacesAsync(
            allowWatchBookmarks: true, fieldSelector: Holding, resourceVersion: version, timeoutSeconds: WatchSeconds, onError: onError,
            cancellationToken: stop));

    /// <summary>Those of our namespace.</summary>
    public WatchedKind<PipelineObject> Pipelines => new("training pipelines",
        stop => Pages<PipelineObject, PipelineObjectList>((more, token) => client.CustomObjects
            .ListNamespacedCustomObjectAsync<PipelineObjectList>(PipelineObject.Group, PipelineObject.Version, settings.Namespace,
                PipelineObject.Plural, continueParameter: more, limit: PageSize, cancellationToken: token), stop),
        (version, onError, stop) => Typed(client.CustomObjects.WatchListNamespacedCustomObjectAsync(
            PipelineObject.Group, PipelineObject.Version, settings.Namespace, PipelineObject.Plural, allowWatchBookmarks: true,
            resourceVersion: version, timeoutSeconds: WatchSeconds, onError: onError, cancellationToken: stop), stop));

    private static string Holding => "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed";

    /// <summary>Owner, secret and those pods; what is there already is left as it is.</summary>
    public async Task<V1OwnerReference> MakeOwner(GangObjects gang, CancellationToken cancellation)
    {
        var wanted = Manifests.Owner(gang, settings);
        V1ConfigMap? made = null;
        bool fresh = await calls.Create($"the owner {gang.Name} of {gang.Id}",
            async token => made = await client.CoreV1.CreateNamespacedConfigMapAsync(wanted, settings.Namespace, cancellationToken: token),
            cancellation);
        var there = fresh && made is not null ? made : (await Owners(gang.Name, cancellation)).FirstOrDefault()
            ?? throw new IOException($"the owner {gang.Name} of {gang.Id} went away while it was made; the next tick makes it again");
        return there.Metadata.DeletionTimestamp is null ? Manifests.Reference(there)
            : throw new IOException($"the owner {gang.Name} of {gang.Id} is being deleted");
    }

    public Task<bool> MakeSecret(GangObjects gang, V1OwnerReference owner, CancellationToken cancellation) => calls.Create(
        $"the secret {gang.Name} of {gang.Id}", token => client.CoreV1.CreateNamespacedSecretAsync(
            Manifests.Secret(gang, owner, settings), settings.Namespace, cancellationToken: token), cancellation);

    public Task<bool> MakePod(GangObjects gang, PodPlan pod, V1OwnerReference owner, CancellationToken cancellation) => calls.Create(
        $"pod {pod.Name} on {pod.Node}", token => client.CoreV1.CreateNamespacedPodAsync(
            Manifests.Pod(gang, pod, owner, settings), settings.Namespace, cancellationToken: token), cancellation);

    public Task<bool> EndPod(PodFacts pod, TimeSpan? grace, CancellationToken cancellation) => calls.Delete(
        $"pod {pod.Name}", token => client.CoreV1.DeleteNamespacedPodAsync(pod.Name, pod.Namespace, new V1DeleteOptions
        {
            GracePeriodSeconds = grace is { } given ? (long)given.TotalSeconds : null,
            // Another pod of this name, made since we looked, is none of ours to end.
            Preconditions = new V1Preconditions { Uid = pod.Uid },
        }, cancellationToken: token), cancellation);

    public Task<bool> RemoveSecret(string gang, CancellationToken cancellation) => calls.Delete(
        $"the secret {gang}", token => client.CoreV1.DeleteNamespacedSecretAsync(
            gang, settings.Namespace, cancellationToken: token), cancellation);

    public async Task RemoveOwner(string gang, CancellationToken cancellation)
    {
        await RemoveSecret(gang, cancellation);
        await calls.Delete($"the owner {gang}", token => client.CoreV1.DeleteNamespacedConfigMapAsync(
            gang, settings.Namespace, cancellationToken: token), cancellation);
    }

    public Task<IList<V1ConfigMap>> Owners(string? gang, CancellationToken cancellation) => calls.Ask("list the owners of gangs",
        async token => (await client.CoreV1.ListNamespacedConfigMapAsync(
            settings.Namespace, labelSelector: gang is null ? Manifests.Selector(settings) : Manifests.Selector(settings, gang),
            cancellationToken: token)).Items, cancellation);

    /// <summary>As they are now, past the watch, which may be late.</summary>
    public Task<List<PodFacts>> PodsOf(string gang, CancellationToken cancellation) => calls.Ask($"list the pods of gang {gang}",
        async token => (await client.CoreV1.ListNamespacedPodAsync(
            settings.Namespace, labelSelector: Manifests.Selector(settings, gang), cancellationToken: token))
            .Items.Select(p => ObjectReading.Of(p, settings)).ToList(), cancellation);

    public async Task<string> LogTail(PodFacts pod, CancellationToken cancellation)
    {
        await using var stream = await client.CoreV1.ReadNamespacedPodLogAsync(
            pod.Name, pod.Namespace, limitBytes: LogBytes, tailLines: LogLines, cancellationToken: cancellation);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync(cancellation);
    }

    public async Task<IEnumerable<string>> EventsOf(PodFacts pod, CancellationToken cancellation)
    {
        var told = await client.CoreV1.ListNamespacedEventAsync(pod.Namespace,
            fieldSelector: string.Create(CultureInfo.InvariantCulture, $"involvedObject.uid={pod.Uid}"), limit: PageSize,
            cancellationToken: cancellation);
        return told.Items.OrderBy(e => e.LastTimestamp ?? e.EventTime).Select(ObjectReading.Line);
    }

    public Task<bool> MakeGenerating(string name, CancellationToken cancellation) => calls.Create(
        $"pod {name}", token => client.CoreV1.CreateNamespacedPodAsync(
            Manifests.Generating(name, settings), settings.Namespace, cancellationToken: token), cancellation);

    /// <summary>Null: it is gone.</summary>
    public Task<PodFacts?> Generating(string name, CancellationToken cancellation) => calls.Ask($"look at pod {name}",
        async token => (await client.CoreV1.ListNamespacedPodAsync(settings.Namespace, fieldSelector: $"metadata.name={name}",
            labelSelector: Manifests.TriesSelector(settings), cancellationToken: token))
            .Items.Select(p => ObjectReading.Of(p, settings)).FirstOrDefault(), cancellation);

    /// <summary>Its standard streams, once.</summary>
    public Task<StreamDemuxer> Attach(string name, CancellationToken cancellation) => calls.Ask($"attach to pod {name}", async token =>
    {
        try
        {
            return new StreamDemuxer(await client.WebSocketNamespacedPodAttachAsync(
                name, settings.Namespace, stderr: true, stdin: true, stdout: true, tty: false,
                webSocketSubProtocol: WebSocketProtocol.V4BinaryWebsocketProtocol, cancellationToken: token), ownsSocket: true);
        }
        catch (WebSocketException e)
        {
            throw new IOException(e.Message, e);
        }
    }, cancellation);

    public Task<bool> EndGenerating(string name, CancellationToken cancellation) => calls.Delete(
        $"pod {name}", token => client.CoreV1.DeleteNamespacedPodAsync(name, settings.Namespace, cancellationToken: token), cancellation);

    /// <summary>What an end of ours, or of the network, has left.</summary>
    public async Task RemoveEndedGenerating(CancellationToken cancellation)
    {
        var left = await calls.Ask("list the pods that tried checkpoints", token => client.CoreV1.ListNamespacedPodAsync(
            settings.Namespace, fieldSelector: "status.phase!=Running,status.phase!=Pending",
            labelSelector: Manifests.TriesSelector(settings), cancellationToken: token), cancellation);
        foreach (var pod in left.Items)
        {
            await EndGenerating(pod.Metadata.Name, cancellation);
        }
    }

    public Task Mark(NodeMark mark, CancellationToken cancellation) => calls.Ask(
        mark is NodeMark.Set ? $"make node {mark.Node} unschedulable" : $"make node {mark.Node} schedulable again",
        token => client.CoreV1.PatchNodeAsync(Merge(Manifests.Mark(mark, settings)), mark.Node, cancellationToken: token), cancellation);

    public Task PatchPipeline(SeenPipeline seen, JsonObject patch, CancellationToken cancellation) => calls.Ask(
        $"change {seen.Declared.Resource}", token => client.CustomObjects.PatchNamespacedCustomObjectAsync<PipelineObject>(
            Merge(patch), PipelineObject.Group, PipelineObject.Version, seen.Namespace, PipelineObject.Plural, seen.Name,
            cancellationToken: token), cancellation);

    public Task PatchPipelineStatus(SeenPipeline seen, JsonObject patch, CancellationToken cancellation) => calls.Ask(
        $"write the status of {seen.Declared.Resource}",
        token => client.CustomObjects.PatchNamespacedCustomObjectStatusAsync<PipelineObject>(
            Merge(patch), PipelineObject.Group, PipelineObject.Version, seen.Namespace, PipelineObject.Plural, seen.Name,
            cancellationToken: token), cancellation);

    public void Dispose() => client.Dispose();

    private static V1Patch Merge(JsonObject patch) => new(patch.ToJsonString(), V1Patch.PatchType.MergePatch);

    /// <summary>The client gives changes of custom objects as it read them: JSON.</summary>
    private static async IAsyncEnumerable<(WatchEventType Type, PipelineObject Item)> Typed(
        IAsyncEnumerable<(WatchEventType Type, object Item)> changes, [EnumeratorCancellation] CancellationToken stop)
    {
        await foreach (var (type, item) in changes.WithCancellation(stop))
        {
            yield return (type, KubernetesJson.Deserialize<PipelineObject>(KubernetesJson.Serialize(item)));
        }
    }

    private static async Task<(IEnumerable<T> Items, string Version)> Pages<T, TList>(
        Func<string?, CancellationToken, Task<TList>> page, CancellationToken stop)
        where TList : IItems<T>, IKubernetesObject<V1ListMeta>
    {
        var all = new List<T>();
        string? more = null;
        while (true)
        {
            var answer = await page(more, stop);
            all.AddRange(answer.Items);
            more = answer.Metadata.ContinueProperty;
            if (string.IsNullOrEmpty(more))
            {
                return (all, answer.Metadata.ResourceVersion);
            }
        }
    }
}
