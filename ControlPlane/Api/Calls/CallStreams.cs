using Google.Protobuf;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>Streams end when the caller goes and when the control plane stops; nobody is kept waiting by a page left open.</summary>
internal sealed class CallStreams(IHostApplicationLifetime lifetime)
{
    /// <summary>A list is read this often; it is sent when it is another one.</summary>
    public static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What has not changed is sent again this often: a page calls what it has not heard of for 5 s old, and one word may be late.
    /// </summary>
    public static readonly TimeSpan SpeakEvery = TimeSpan.FromSeconds(2);

    public static async Task WhenAnother<T>(Func<Task<T>> look, IServerStreamWriter<T> stream, CancellationToken token)
        where T : class, IMessage<T>
    {
        using var timer = new PeriodicTimer(LookEvery);
        T? sent = null;
        long sentAt = 0;
        do
        {
            var now = await look();
            if ((!ReferenceEquals(now, sent) && !now.Equals(sent)) || TimeProvider.System.GetElapsedTime(sentAt) >= SpeakEvery)
            {
                await stream.WriteAsync(now, token);
                (sent, sentAt) = (now, TimeProvider.System.GetTimestamp());
            }
        }
        while (await timer.WaitForNextTickAsync(token));
    }

    public async Task UntilGone(ServerCallContext context, Func<CancellationToken, Task> stream)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            await stream(gone.Token);
        }
        catch (Exception e) when (gone.IsCancellationRequested
            && e is OperationCanceledException or InvalidOperationException or IOException)
        {
            // The caller hung up, or the control plane stops: either way the stream has ended.
        }
    }
}
