using System.Net;
using System.Numerics;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
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

    /// <summary>Made anew by each silo at its start and never written down; their keys are the same.</summary>
    public static X509Certificate2 Certificate(ReadOnlySpan<byte> secret)
    {
        using var key = KeyOf(secret);
        var request = new CertificateRequest($"CN={Name}", key, HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        // Of no meaning: what is asked for is the key, and clocks of machines differ.
        return request.CreateSelfSigned(now.AddYears(-1), now.AddYears(100));
    }

    /// <summary>TLS has proved that they have the private key of what they show.</summary>
    internal static bool IsOurs(X509Certificate2 ours, X509Certificate2 theirs) =>
        CryptographicOperations.FixedTimeEquals(ours.PublicKey.ExportSubjectPublicKeyInfo(), theirs.PublicKey.ExportSubjectPublicKeyInfo());

    /// <summary>A private key of P-256 is any number from 1 to its order - 1.</summary>
    private static ECDsa KeyOf(ReadOnlySpan<byte> secret)
    {
        var order = BigInteger.Parse("0FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
            System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);
        var number = (new BigInteger(secret, isUnsigned: true, isBigEndian: true) % (order - 1)) + 1;
        byte[] d = new byte[32];
        byte[] digits = number.ToByteArray(isUnsigned: true, isBigEndian: true);
        digits.CopyTo(d, d.Length - digits.Length);
        return ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = d });
    }
}
