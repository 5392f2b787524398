using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using Orleans.Configuration;
using Orleans.Connections.Security;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// Where silos of one control plane reach each other. Orleans' own protocol asks nobody who he is; it runs in TLS here, and both sides show
/// a certificate whose private key is derived from dsops.key: who can open a connection knows the key, and no authority has to be asked.
/// </summary>
internal static class SiloPort
{
    private const string Name = "dsops silo";

    /// <summary>
    /// As long as a call waits for its answer. Orleans' 5 s, and 10 s for TLS, were too short on machines with 20 times more to do than
    /// processors, and a call that could have been answered failed. Who is dead is known by other means (<see cref="LostSilos"/>).
    /// </summary>
    private static readonly TimeSpan OpenWithin = TimeSpan.FromSeconds(30);

    public static void UseSiloPort(this ISiloBuilder silo, IPEndPoint at, X509Certificate2 ours)
    {
        // At this address and no other. No gateway: the only clients are in the silos' own processes.
        silo.ConfigureEndpoints(at.Address, at.Port, gatewayPort: 0);
        silo.Configure<ConnectionOptions>(connections => connections.OpenConnectionTimeout = OpenWithin);
        silo.UseTls(ours, tls =>
        {
            tls.RemoteCertificateMode = RemoteCertificateMode.RequireCertificate;
            tls.ClientCertificateMode = RemoteCertificateMode.RequireCertificate;
            tls.HandshakeTimeout = OpenWithin;
            tls.SslProtocols = SslProtocols.Tls13;
            tls.RemoteCertificateValidation = (theirs, _, _) => IsOurs(ours, theirs);
            tls.OnAuthenticateAsClient = (_, client) => client.TargetHost = Name;
        });
    }

    public static X509Certificate2 Certificate(ReadOnlySpan<byte> secret) => DerivedCertificate.Of(secret, Name);

    /// <summary>TLS has proved that they have the private key of what they show.</summary>
    internal static bool IsOurs(X509Certificate2 ours, X509Certificate2 theirs) =>
        CryptographicOperations.FixedTimeEquals(ours.PublicKey.ExportSubjectPublicKeyInfo(), theirs.PublicKey.ExportSubjectPublicKeyInfo());
}
