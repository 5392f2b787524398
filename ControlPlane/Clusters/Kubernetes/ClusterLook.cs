using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;
using k8s;
using k8s.Autorest;
using k8s.Exceptions;
using k8s.Models;
using Connection = k8s.Kubernetes;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>
/// Asks an API server what a control plane would need of it. Nothing is made: rights are asked for by name, and a pod of a gang is put
/// before it as a dry run.
/// </summary>
internal static class ClusterLook
{
    /// <summary>Of one call: a person waits.</summary>
    public static readonly TimeSpan CallTime = TimeSpan.FromSeconds(5);

    private const int PageSize = 500, PagesMax = 20;

    /// <summary>Of a Date header, which has whole seconds.</summary>
    private static readonly TimeSpan DateRounding = TimeSpan.FromSeconds(1);

    /// <summary>GPUs of a node where none was seen: what most nodes for training have.</summary>
    private const int UsualGpus = 8;

    public static async Task<ClusterFacts> Run(
        Func<KubernetesClientConfiguration> configuration, PodSettings settings, TimeProvider clock, CancellationToken cancellation)
    {
        string server = "";
        try
        {
            var config = configuration();
            config.HttpClientTimeout = CallTime;
            server = config.Host;
            using var client = new Connection(config);
            return await Look(client, new ClusterFacts(server), settings, clock, cancellation);
        }
        catch (HttpOperationException e) when (e.Response?.StatusCode == HttpStatusCode.Unauthorized)
        {
            return new ClusterFacts(server) { Trouble = "does not know who we are (401 Unauthorized)", Unauthorized = true };
        }
        catch (HttpOperationException e)
        {
            return new ClusterFacts(server) { Trouble = ApiCalls.Said(e) };
        }
        catch (Exception e) when (e is KubeConfigException or KubernetesClientException or IOException or UnauthorizedAccessException
            or HttpRequestException or CryptographicException or ArgumentException or YamlDotNet.Core.YamlException)
        {
            string said = e.GetBaseException().Message.ReplaceLineEndings(" ").TrimEnd('.');
            string trouble = server.Length > 0 ? $"cannot be reached: {said}" : $"no API server is known: {said}";
            return new ClusterFacts(server) { Trouble = trouble };
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new ClusterFacts(server) { Trouble = $"no answer within {CallTime.TotalSeconds:0} s" };
        }
    }

    private static async Task<ClusterFacts> Look(
        Connection client, ClusterFacts facts, PodSettings settings, TimeProvider clock, CancellationToken cancellation)
    {
        var before = clock.GetUtcNow();
        long began = clock.GetTimestamp();
        var version = await client.Version.GetCodeWithHttpMessagesAsync(cancellationToken: cancellation);
        var half = clock.GetElapsedTime(began) / 2;
        facts = facts with
        {
            Version = version.Body.GitVersion,
            // It names the second that was cut off: its middle is half a second later.
            Clock = version.Response.Headers.Date is { } date
                ? new ClockOffset(date + (DateRounding / 2) - (before + half), half + DateRounding) : null,
        };
        var nodes = Known(() => Nodes(client, settings, cancellation));
        var rights = Rights(client, settings, cancellation);
        var groups = Known(() => Groups(client, cancellation));
        var definition = Known<Kinds?>(async () =>
            await Resources(client, PipelineObject.Group, PipelineObject.Version, cancellation));
        var quotas = Known<QuotaSeen[]?>(() => Quotas(client, settings, cancellation));
        var claims = Claims(client, settings, cancellation);
        var seen = await nodes;
        var trial = await Known<TrialPod?>(() => Trial(client, settings, seen, clock, cancellation));
        var served = await groups;
        var ours = await definition;
        return facts with
        {
            Nodes = seen,
            Rights = [.. await rights],
            Trial = trial,
            Claims = [.. await claims],
            Quotas = [.. await quotas ?? []],
            Groups = served?.Names ?? [],
            SchedulingResources = served?.Scheduling ?? [],
            Definition = served is null || ours is null ? null : ours.Served ? served.Pipelines : [],
            DefinitionHasStatus = ours is { HasStatus: true },
        };
    }

    /// <summary>Null where there is no right, or no answer.</summary>
    private static async Task<T?> Known<T>(Func<Task<T>> ask)
    {
        try
        {
            return await ask();
        }
        catch (Exception e) when (e is HttpOperationException or HttpRequestException or TaskCanceledException)
        {
            return default;
        }
    }

    private static async Task<ImmutableArray<NodeFacts>?> Nodes(Connection client, PodSettings settings, CancellationToken cancellation)
    {
        var all = new List<NodeFacts>();
        string? more = null;
        for (int page = 0; page < PagesMax; page++)
        {
            var answer = await client.CoreV1.ListNodeAsync(continueParameter: more, limit: PageSize, cancellationToken: cancellation);
            all.AddRange(answer.Items.Select(n => ObjectReading.Of(n, settings)));
            more = answer.Metadata.ContinueProperty;
            if (string.IsNullOrEmpty(more))
            {
                break;
            }
        }

        return [.. all];
    }

    private static async Task<RightSeen[]> Rights(Connection client, PodSettings settings, CancellationToken cancellation) =>
        await Task.WhenAll(ClusterRights.Used.Select(async right =>
        {
            string[] parts = right.Resource.Split('/');
            var review = new V1SelfSubjectAccessReview
            {
                Spec = new V1SelfSubjectAccessReviewSpec
                {
                    ResourceAttributes = new V1ResourceAttributes
                    {
                        Verb = right.Verb, Group = right.Group, Resource = parts[0], Subresource = parts.ElementAtOrDefault(1),
                        NamespaceProperty = right.EverywhereAsked ? null : settings.Namespace,
                    },
                },
            };
            var answer = await Known<V1SelfSubjectAccessReview?>(async () =>
                await client.AuthorizationV1.CreateSelfSubjectAccessReviewAsync(review, cancellationToken: cancellation));
            return new RightSeen(right, answer?.Status?.Allowed);
        }));

    private sealed record Served(ImmutableArray<string> Names, ImmutableArray<string> Pipelines, ImmutableArray<string> Scheduling);

    private static async Task<Served> Groups(Connection client, CancellationToken cancellation)
    {
        var all = (await client.Apis.GetAPIVersionsAsync(cancellation)).Groups;
        string[] scheduling = [.. all.Where(g => g.Name.StartsWith("scheduling.", StringComparison.Ordinal))
            .SelectMany(g => g.Versions.Select(v => v.GroupVersion))];
        var resources = new List<string>();
        foreach (string[] name in scheduling.Select(s => s.Split('/')).Where(n => n.Length == 2))
        {
            var found = await Known<Kinds?>(async () => await Resources(client, name[0], name[1], cancellation));
            resources.AddRange(found?.Names ?? []);
        }

        return new Served([.. all.SelectMany(g => g.Versions.Select(v => v.GroupVersion))],
            [.. all.Where(g => g.Name == PipelineObject.Group).SelectMany(g => g.Versions.Select(v => v.Version))], [.. resources]);
    }

    private sealed record Kinds(ImmutableArray<string> Names)
    {
        public bool Served => Names.Contains(PipelineObject.Plural);

        public bool HasStatus => Names.Contains($"{PipelineObject.Plural}/status");
    }

    /// <summary>None: the server knows no such group.</summary>
    private static async Task<Kinds> Resources(Connection client, string group, string version, CancellationToken cancellation)
    {
        try
        {
            var list = await client.CustomObjects.GetAPIResourcesAsync(group, version, cancellation);
            return new Kinds([.. list.Resources.Select(r => r.Name)]);
        }
        catch (HttpOperationException e) when (e.Response?.StatusCode == HttpStatusCode.NotFound)
        {
            return new Kinds([]);
        }
    }

    /// <summary>A pod as a gang's, with all GPUs of a node of ours; owner and secret are not looked for by a dry run.</summary>
    private static async Task<TrialPod?> Trial(
        Connection client, PodSettings settings, ImmutableArray<NodeFacts>? nodes, TimeProvider clock,
        CancellationToken cancellation)
    {
        var ours = (nodes ?? []).Where(n => NodeReading.IsOurs(n, settings)).ToList();
        int gpus = ours.Count > 0 ? ours.Max(n => n.Gpus) : UsualGpus;
        string node = ours.FirstOrDefault()?.Name ?? "doctor";
        var grant = new GangGrant(new StageId("doctor", "trial"), 1, [new NodeId(node)], gpus, clock.GetUtcNow());
        var gang = GangObjects.Of(grant, settings, _ => "");
        var pod = Manifests.Pod(gang, gang.Pods[0], new V1OwnerReference(), settings);
        pod.Metadata.OwnerReferences = null;
        try
        {
            await client.CoreV1.CreateNamespacedPodAsync(pod, settings.Namespace, dryRun: "All", cancellationToken: cancellation);
            return new TrialPod(gpus, "", 0);
        }
        catch (HttpOperationException e) when (e.Response is { } refused && (int)refused.StatusCode is >= 400 and < 500)
        {
            return new TrialPod(gpus, ApiCalls.Said(e), (int)refused.StatusCode);
        }
    }

    private static async Task<QuotaSeen[]?> Quotas(Connection client, PodSettings settings, CancellationToken cancellation)
    {
        string[] names = [settings.GpuResource, $"requests.{settings.GpuResource}", $"limits.{settings.GpuResource}"];
        var all = await client.CoreV1.ListNamespacedResourceQuotaAsync(
            settings.Namespace, limit: PageSize, cancellationToken: cancellation);
        return
        [
            .. from quota in all.Items
               from name in names
               where quota.Spec?.Hard?.ContainsKey(name) == true
               select new QuotaSeen(quota.Metadata.Name, Whole(quota.Spec.Hard, name), Whole(quota.Status?.Used, name)),
        ];
    }

    private static long Whole(IDictionary<string, ResourceQuantity>? of, string name) =>
        of is not null && of.TryGetValue(name, out var quantity) ? (long)Math.Clamp(quantity.ToDecimal(), 0, int.MaxValue) : 0;

    private static async Task<ClaimSeen[]> Claims(Connection client, PodSettings settings, CancellationToken cancellation)
    {
        var names = settings.Volumes.Select(v => v.Claim).Where(c => c.Length > 0).Distinct(StringComparer.Ordinal);
        return await Task.WhenAll(names.Select(async name =>
        {
            try
            {
                var claim = await client.CoreV1.ReadNamespacedPersistentVolumeClaimAsync(
                    name, settings.Namespace, cancellationToken: cancellation);
                return new ClaimSeen(name, true, claim.Status?.Phase ?? "");
            }
            catch (HttpOperationException e) when (e.Response?.StatusCode == HttpStatusCode.NotFound)
            {
                return new ClaimSeen(name, false, "");
            }
            catch (Exception e) when (e is HttpOperationException or HttpRequestException or TaskCanceledException)
            {
                return new ClaimSeen(name, null, "");
            }
        }));
    }
}
