using System.Collections.Immutable;
using System.Net;
using DeepSeekOps.Decisions.Runs;
using k8s;
using k8s.Autorest;
using Microsoft.Extensions.Options;
using Connection = k8s.Kubernetes;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>
/// The TrainingPipelines of our namespace as they are now, and the three changes that are made to them. It decides nothing. Where the
/// definition is not installed, or may not be read, there are none; it is asked for again each minute.
/// </summary>
public sealed partial class TrainingPipelines(
    IOptions<KubernetesClusterOptions> options, TimeProvider clock, ILogger<TrainingPipelines> log) : IAsyncDisposable
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMinutes(1);

    private KubernetesApi? api;
    private Reflector<PipelineObject, SeenPipeline>? watch;
    private long? asked;
    private string absent = "";

    /// <summary>Those that are there. Empty too where nothing can be known: nothing follows from one that is not there.</summary>
    public async Task<ImmutableArray<SeenPipeline>> Seen(CancellationToken cancellation)
    {
        if (watch is null && !await Begin(cancellation))
        {
            return [];
        }

        return [.. watch!.Facts.Values.OrderBy(p => p.Name, StringComparer.Ordinal)];
    }

    public Task Hold(SeenPipeline seen, string run, CancellationToken cancellation) =>
        Api.PatchPipeline(seen, PipelineReading.Hold(seen, run), cancellation);

    public Task LetGo(SeenPipeline seen, CancellationToken cancellation) =>
        Api.PatchPipeline(seen, PipelineReading.LetGo(seen), cancellation);

    public Task Tell(SeenPipeline seen, DeclarationStatus status, CancellationToken cancellation) =>
        Api.PatchPipelineStatus(seen, PipelineReading.Tell(status), cancellation);

    public async ValueTask DisposeAsync()
    {
        if (watch is not null)
        {
            await watch.DisposeAsync();
            watch = null;
        }

        api?.Dispose();
        api = null;
    }

    private KubernetesApi Api => api ??= new KubernetesApi(new Connection(options.Value.Connection()), options.Value.Pods, clock);

    private async Task<bool> Begin(CancellationToken cancellation)
    {
        if (asked is { } at && clock.GetElapsedTime(at) < AskAgain)
        {
            return false;
        }

        asked = clock.GetTimestamp();
        try
        {
            await Api.Pipelines.List(cancellation);
        }
        catch (HttpOperationException e) when (e.Response?.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Forbidden)
        {
            string why = ApiCalls.Said(e);
            if (absent != why)
            {
                absent = why;
                LogAbsent(why);
            }

            return false;
        }
        catch (HttpRequestException)
        {
            // The watches of nodes and pods tell of a server that is away.
            asked = null;
            return false;
        }

        var settings = options.Value.Pods;
        watch = new Reflector<PipelineObject, SeenPipeline>(Api.Pipelines, p => PipelineReading.Of(p, settings), clock, log);
        watch.Begin();
        await watch.Answered.WaitAsync(cancellation);
        return true;
    }

    [LoggerMessage(Level = LogLevel.Information,
        Message = "TrainingPipelines are not read, asked again each minute (deploy/kubernetes/pipelines.yaml defines them): {Why}")]
    private partial void LogAbsent(string why);
}
