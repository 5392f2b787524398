using System.Net;
using System.Text.Json;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>The API server refused a call, or did not answer it; the message is for people.</summary>
internal sealed class ClusterCallException(string message, HttpStatusCode? code, Exception cause) : IOException(message, cause)
{
    public HttpStatusCode? Code { get; } = code;
}

/// <summary>
/// Single calls to the API server: what passes by itself is tried again, as late as the server asks (Retry-After). What it refuses for a
/// reason is told in its own words: a quota, a right, an admission webhook.
/// </summary>
internal sealed class ApiCalls
{
    /// <summary>Ours: a tick must not wait for ever; who asks again is the next tick.</summary>
    private static readonly TimeSpan CallTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    /// <summary>Ours: a server that asks for more is asked by the next tick.</summary>
    private static readonly TimeSpan LongestRetryAfter = TimeSpan.FromSeconds(30);

    private const int Tries = 4;
    private const int TooManyRequests = 429;

    private readonly ResiliencePipeline pipeline;

    public ApiCalls(TimeProvider clock) => pipeline = new ResiliencePipelineBuilder { TimeProvider = clock }
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = outcome => ValueTask.FromResult(Passes(outcome.Outcome.Exception)),
            MaxRetryAttempts = Tries - 1,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = FirstPause,
            MaxDelay = LongestPause,
            DelayGenerator = outcome => ValueTask.FromResult(RetryAfter(outcome.Outcome.Exception)),
        })
        .AddTimeout(CallTime)
        .Build();

    /// <summary>False: it is there already, by an earlier try or an earlier start of ours.</summary>
    public async Task<bool> Create(string what, Func<CancellationToken, Task> call, CancellationToken cancellation) =>
        await Done($"make {what}", call, HttpStatusCode.Conflict, cancellation);

    /// <summary>False: it is gone already.</summary>
    public async Task<bool> Delete(string what, Func<CancellationToken, Task> call, CancellationToken cancellation) =>
        await Done($"delete {what}", call, HttpStatusCode.NotFound, cancellation);

    public async Task<T> Ask<T>(string what, Func<CancellationToken, Task<T>> call, CancellationToken cancellation)
    {
        try
        {
            return await pipeline.ExecuteAsync(async token => await call(token), cancellation);
        }
        catch (HttpOperationException e)
        {
            throw new ClusterCallException($"could not {what}: {Said(e)}", e.Response?.StatusCode, e);
        }
        catch (Exception e) when (e is HttpRequestException or TimeoutRejectedException or IOException)
        {
            throw new ClusterCallException($"could not {what}: the API server does not answer: {e.Message}", null, e);
        }
    }

    private async Task<bool> Done(string what, Func<CancellationToken, Task> call, HttpStatusCode already, CancellationToken cancellation)
    {
        try
        {
            return await Ask(what, async token =>
            {
                await call(token);
                return true;
            }, cancellation);
        }
        catch (ClusterCallException e) when (e.Code == already)
        {
            return false;
        }
    }

    private static bool Passes(Exception? failed) => failed switch
    {
        HttpOperationException { Response.StatusCode: var code } => (int)code is TooManyRequests or 500 or 502 or 503 or 504,
        HttpRequestException or TimeoutRejectedException or IOException => true,
        _ => false,
    };

    private static TimeSpan? RetryAfter(Exception? failed) =>
        failed is HttpOperationException { Response.Headers: { } headers }
            && headers.FirstOrDefault(h => h.Key.Equals("Retry-After", StringComparison.OrdinalIgnoreCase)).Value?.FirstOrDefault()
                is { } text
            && int.TryParse(text, out int seconds) && seconds >= 0
            ? TimeSpan.FromSeconds(Math.Min(seconds, LongestRetryAfter.TotalSeconds)) : null;

    /// <summary>The message of the status object, with its code; anything else as it came.</summary>
    public static string Said(HttpOperationException refused)
    {
        string code = refused.Response is { } response ? $"{(int)response.StatusCode} {response.StatusCode}" : "no status";
        try
        {
            return refused.Response?.Content is { Length: > 0 } content
                && KubernetesJson.Deserialize<V1Status>(content) is { Message.Length: > 0 } status
                ? $"{status.Message} ({code})" : $"{refused.Message} ({code})";
        }
        catch (JsonException)
        {
            return $"{refused.Message} ({code})";
        }
    }
}
