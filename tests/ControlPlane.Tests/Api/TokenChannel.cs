using DeepSeekOps.ControlPlane.Client;
using Grpc.Net.Client;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>A way to the control plane that shows a token with each call.</summary>
internal static class TokenChannel
{
    public static GrpcChannel To(string address, string token) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
    {
        HttpHandler = new TokenHeader(token) { InnerHandler = new SocketsHttpHandler() }, DisposeHttpClient = true,
    });
}
