using System.Net;
using Amazon.Runtime;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace DeepSeekOps.Worker.Checkpoints.Store;

/// <summary>Which answers of a store are tried again, and how its refusals read.</summary>
internal static class StoreRetries
{
    /// <summary>
    /// A call carries 16 MiB at most; this is 0.25 MiB a second, a tenth of what the slowest line that a checkpoint is worth sending over
    /// carries. Ours.
    /// </summary>
    private static readonly TimeSpan CallMost = TimeSpan.FromSeconds(60);

    /// <summary>With twice the wait each time from half a second on: some 15 s until a store counts as away. Ours.</summary>
    private const int Retries = 5;

    public static readonly TimeSpan UsualDelay = TimeSpan.FromMilliseconds(500);

    /// <param name="delay">Before the first call that is made again; each further one waits twice as long.</param>
    public static ResiliencePipeline Build(TimeSpan delay, TimeProvider clock) => new ResiliencePipelineBuilder { TimeProvider = clock }
        .AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = Retries, Delay = delay, BackoffType = DelayBackoffType.Exponential, UseJitter = true,
            ShouldHandle = arguments => ValueTask.FromResult(arguments.Outcome.Exception is { } e
                && !arguments.Context.CancellationToken.IsCancellationRequested && Passes(e)),
        })
        .AddTimeout(CallMost)
        .Build();

    /// <summary>A line that broke, a server that is busy, bytes that were garbled on the way.</summary>
    private static bool Passes(Exception e) => e switch
    {
        AmazonServiceException
        {
            StatusCode: >= HttpStatusCode.InternalServerError or HttpStatusCode.TooManyRequests
            or HttpStatusCode.RequestTimeout
        } => true,
        AmazonServiceException { ErrorCode: "SlowDown" or "RequestTimeout" or "BadDigest" or "XAmzContentSHA256Mismatch" } => true,
        // Nothing was answered: the SDK wraps what the line said.
        AmazonServiceException { StatusCode: 0 } => true,
        AmazonServiceException => false,
        AmazonClientException or HttpRequestException or TimeoutRejectedException or TaskCanceledException => true,
        IOException and not StoreException => true,
        _ => false,
    };

    /// <summary>Whether it is of the store, and not of this program.</summary>
    public static bool Told(Exception e) =>
        e is AmazonServiceException or AmazonClientException or HttpRequestException or TimeoutRejectedException or TaskCanceledException
            or (IOException and not StoreException);

    public static StoreException Of(Exception e, string store) => e switch
    {
        AmazonServiceException { ErrorCode: "NoSuchBucket" } =>
            new StoreException($"{store}: there is no such bucket", "Make the bucket, or name another one in checkpoints.store.", e),
        AmazonServiceException { StatusCode: HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized } refused =>
            new StoreException($"{store} does not let the workers in ({refused.ErrorCode})",
                "Look at the keys in the environment of the workers, at what they may do there (list, get, put, delete), "
                    + "and at checkpointStore.region.", e),
        AmazonServiceException { StatusCode: not 0 } refused =>
            new StoreException($"{store} answers {(int)refused.StatusCode} {refused.ErrorCode}", "Look at the store.", e),
        TimeoutRejectedException or TaskCanceledException => new StoreException($"{store} does not answer within "
            + $"{CallMost.TotalSeconds:F0} s", "Look at the store, and at the network between it and the nodes.", e),
        _ => new StoreException($"{store} cannot be reached: {Deepest(e).Message.TrimEnd('.')}",
            "Look at the store, at checkpointStore.endpoint, and at the network between it and the nodes.", e),
    };

    private static Exception Deepest(Exception e) => e.InnerException is { } inner ? Deepest(inner) : e;
}
