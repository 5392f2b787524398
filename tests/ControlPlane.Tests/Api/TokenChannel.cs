using System.Security.Cryptography.X509Certificates;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using Grpc.Net.Client;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>A way to the control plane that shows a token with each call.</summary>
internal static class TokenChannel
{
    public static GrpcChannel To(string address, string token, string? pin = null) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
    {
        HttpHandler = new TokenHeader(token) { InnerHandler = pin is null ? new SocketsHttpHandler() : Pinned(pin) },
        DisposeHttpClient = true,
    });

    /// <summary>Speaks with who has the key of that pin, as agents do.</summary>
    public static SocketsHttpHandler Pinned(string pin)
    {
        var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback =
            (_, shown, _, _) => shown is X509Certificate2 theirs && DerivedCertificate.PinOf(theirs) == pin;
        return handler;
    }
}
