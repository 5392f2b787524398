using System.Runtime.InteropServices;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.Notices;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Storage;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>The control plane itself.</summary>
internal sealed class ServerCalls(
    HealthBoard health, OpsDatabase database, ITrainingCluster cluster, CallStreams streams, Notifier notifier)
{
    public Task<Health> GetHealth(GetHealthRequest request, ServerCallContext context) => Task.FromResult(health.ToProto());

    public Task WatchHealth(GetHealthRequest request, IServerStreamWriter<Health> responseStream, ServerCallContext context) =>
        streams.UntilGone(context, token => CallStreams.WhenAnother(() => Task.FromResult(health.ToProto()), responseStream, token));

    public async Task<TryNotificationsReply> TryNotifications(TryNotificationsRequest request, ServerCallContext context)
    {
        var reply = new TryNotificationsReply();
        var tried = request.Send ? await notifier.Try(context.CancellationToken) : [.. notifier.Names.Select(n => (n, ""))];
        reply.Channels.AddRange(tried.Select(t => new NotificationChannel { Name = t.Channel, Trouble = t.Trouble }));
        return reply;
    }

    public Task<GetVersionReply> GetVersion(GetVersionRequest request, ServerCallContext context) =>
        Task.FromResult(new GetVersionReply
        {
            Version = ProgramVersion.Text,
            Runtime = RuntimeInformation.FrameworkDescription,
            WorkerProtocol = WorkerGrpcService.Protocol,
            Database = database is OpsDatabase.Sqlite ? "sqlite" : "postgresql",
            Cluster = cluster.Kind,
        });
}
