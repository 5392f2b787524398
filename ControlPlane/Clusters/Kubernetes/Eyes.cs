using System.Collections.Immutable;
using DeepSeekOps.Decisions.Pods;
using k8s.Models;
using Connection = k8s.Kubernetes;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>What is known of the cluster at one moment.</summary>
/// <param name="Nodes">All of them, ours or not, by name.</param>
/// <param name="Own">Pods of gangs of this control plane.</param>
/// <param name="Others">Everybody else's that hold GPUs.</param>
internal sealed record SeenObjects(
    ImmutableDictionary<string, NodeFacts> Nodes, ImmutableArray<PodFacts> Own, ImmutableArray<PodFacts> Others);

/// <summary>The connection to the API server, and the three watches of a control plane.</summary>
internal sealed class Eyes : IAsyncDisposable
{
    private readonly KubernetesClusterOptions options;
    private readonly TimeProvider clock;
    private readonly string host;
    private readonly Reflector<V1Node, NodeFacts> nodes;
    private readonly Reflector<V1Pod, PodFacts> own;
    private readonly Reflector<V1Pod, PodFacts> all;

    public Eyes(KubernetesClusterOptions options, TimeProvider clock, ILogger log)
    {
        (this.options, this.clock) = (options, clock);
        var connection = options.Connection();
        host = connection.Host;
        var settings = options.Pods;
        Api = new KubernetesApi(new Connection(connection), settings, clock);
        nodes = new Reflector<V1Node, NodeFacts>(Api.Nodes, n => ObjectReading.Of(n, settings), clock, log);
        own = new Reflector<V1Pod, PodFacts>(Api.OwnPods, p => ObjectReading.Of(p, settings), clock, log);
        all = new Reflector<V1Pod, PodFacts>(Api.AllPods, p => Other(p, settings), clock, log);
        nodes.Begin();
        own.Begin();
        all.Begin();
    }

    public KubernetesApi Api { get; }

    /// <exception cref="IOException">It has not answered, or not for too long: what it said last may be wrong by now.</exception>
    public async Task<SeenObjects> Look(TimeSpan patience, CancellationToken cancellation)
    {
        try
        {
            await Task.WhenAll(nodes.Answered, own.Answered, all.Answered).WaitAsync(patience, clock, cancellation);
        }
        catch (TimeoutException e)
        {
            throw new IOException($"the API server at {host} has not answered yet", e);
        }

        if (!(nodes.Listed && own.Listed && all.Listed))
        {
            throw new IOException($"the API server at {host} does not list what it has: {Why()}");
        }

        var (why, since) = new[] { nodes.Trouble, own.Trouble, all.Trouble }.Where(t => t.Why.Length > 0).OrderByDescending(t => t.For)
            .FirstOrDefault();
        return why is { Length: > 0 } && since > options.StaleAfter
            ? throw new IOException($"the API server at {host} has not answered for {Decisions.Words.Duration(since)}: {why}")
            : new SeenObjects(
                nodes.Facts.Values.ToImmutableDictionary(n => n.Name, StringComparer.Ordinal),
                [.. own.Facts.Values.OrderBy(p => p.Name, StringComparer.Ordinal)], [.. all.Facts.Values]);
    }

    public async ValueTask DisposeAsync()
    {
        await nodes.DisposeAsync();
        await own.DisposeAsync();
        await all.DisposeAsync();
        Api.Dispose();
    }

    private string Why() =>
        new[] { nodes.Trouble.Why, own.Trouble.Why, all.Trouble.Why }.FirstOrDefault(w => w.Length > 0) ?? "";

    /// <summary>Only what takes GPUs is kept: a cluster has many pods that take none.</summary>
    private static PodFacts? Other(V1Pod pod, PodSettings settings)
    {
        var facts = ObjectReading.Of(pod, settings);
        bool ours = facts.Namespace == settings.Namespace && pod.Metadata.Labels is { } labels
            && labels.TryGetValue(GangNames.ManagedBy, out string? by) && by == GangNames.Us
            && labels.TryGetValue(GangNames.Instance, out string? instance) && instance == settings.Instance;
        return facts.Gpus > 0 && !ours ? facts : null;
    }
}
