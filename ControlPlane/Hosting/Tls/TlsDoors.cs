using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using DeepSeekOps.ControlPlane.Api;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace DeepSeekOps.ControlPlane.Hosting.Tls;

/// <summary>
/// TLS of the ports that other machines reach. Agents are told the pin of a key that is derived from dsops.key; people see the
/// certificate that was named for them, and monitors that one too, where there is one.
/// </summary>
public sealed class TlsDoors : IDisposable
{
    private const string Name = "dsops";

    private readonly X509Certificate2 own;
    private readonly SslStreamCertificateContext ownContext;
    private readonly RenewedCertificate? named;

    private TlsDoors(AccessKey key, RenewedCertificate? named)
    {
        this.named = named;
        own = DerivedCertificate.Of(key.PortsSecret, Name);
        ownContext = SslStreamCertificateContext.Create(own, additionalCertificates: null, offline: true);
        Pin = DerivedCertificate.PinOf(own);
    }

    /// <summary>Of the key that agents are to be shown.</summary>
    public string Pin { get; }

    public static async Task<TlsDoors> Open(ControlPlaneOptions options, AccessKey key, CancellationToken cancellation) => new(key,
        options.Certificate is { } files ? await RenewedCertificate.Open(files, TimeProvider.System, cancellation) : null);

    /// <summary>With no certificate for people.</summary>
    public static TlsDoors Own(AccessKey key) => new(key, named: null);

    public void LogTo(ILoggerFactory logs)
    {
        if (named is not null)
        {
            named.Log = logs.CreateLogger(typeof(RenewedCertificate).FullName!);
            // What is wrong with it already is said at the start.
            _ = named.Look();
        }
    }

    /// <summary>TLS 1.3 alone: both sides are ours.</summary>
    public void Agents(ListenOptions listen) => Speak(listen, () => ownContext, SslProtocols.Tls13);

    public void People(ListenOptions listen) => Speak(listen,
        () => (named ?? throw new InvalidOperationException("--https without a certificate is refused before")).Context,
        SslProtocols.Tls12 | SslProtocols.Tls13);

    /// <summary>Within one machine in clear, as the pages are there.</summary>
    public void Monitors(ListenOptions listen, IPEndPoint at)
    {
        if (!IPAddress.IsLoopback(at.Address))
        {
            Speak(listen, () => named?.Context ?? ownContext, SslProtocols.Tls12 | SslProtocols.Tls13);
        }
    }

    public void Dispose()
    {
        named?.Dispose();
        own.Dispose();
    }

    private static void Speak(ListenOptions listen, Func<SslStreamCertificateContext> shown, SslProtocols protocols)
    {
        listen.UsePlainWords();
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = shown(), EnabledSslProtocols = protocols,
            }),
        });
    }
}
