using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DeepSeekOps.ControlPlane.Tests.Hosting.Tls;

/// <summary>Who signs certificates in a test, and writes them as PEM files.</summary>
internal sealed class Authority : IDisposable
{
    private readonly X509Certificate2 root;

    public Authority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=authority of a test", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        root = request.CreateSelfSigned(Now.AddYears(-10), Now.AddYears(10));
    }

    public static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public string Pem => root.ExportCertificatePem();

    /// <param name="from">Days from now.</param>
    public X509Certificate2 Sign(string host, double from = -1, double until = 90)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=dsops of a test", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        Array.ForEach(host.Split(','), names.AddDnsName);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(root, true, false));
        using var made = request.Create(root, Now.AddDays(from), Now.AddDays(until), RandomNumberGenerator.GetBytes(8));
        return made.CopyWithPrivateKey(key);
    }

    /// <summary>In the place of what is there, as whoever renews it does.</summary>
    public static (string Certificate, string Key) Write(string folder, X509Certificate2 certificate, string name = "tls")
    {
        string file = Path.Combine(folder, $"{name}.crt"), key = Path.Combine(folder, $"{name}.key");
        File.WriteAllText(file, certificate.ExportCertificatePem());
        File.WriteAllText(key, KeyOf(certificate));
        return (file, key);
    }

    public static string KeyOf(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey() ?? throw new InvalidOperationException("made with one");
        return key.ExportPkcs8PrivateKeyPem();
    }

    public void Dispose() => root.Dispose();
}
