using System.Collections.Immutable;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.ControlPlane.Hosting.Tls;

/// <summary>The files of --https-cert and --https-key, and the hosts of --public-url.</summary>
public sealed record PemFiles(string Certificate, string Key, ImmutableArray<string> Hosts);

/// <summary>A certificate with its private key and those that signed it, as PEM files have them.</summary>
/// <param name="Text">Of both files: another text is another pair.</param>
internal sealed record PemPair(X509Certificate2 Certificate, X509Certificate2Collection Signers, string Text)
{
    /// <summary>A chain of ten certificates has some 20 KB.</summary>
    private const int BytesMax = 1 << 20;

    /// <summary>Null where they cannot be used; the facts say why.</summary>
    public static async Task<(PemPair? Pair, CertificateFacts Facts)> Read(PemFiles files, CancellationToken cancellation)
    {
        var facts = new CertificateFacts(files.Certificate);
        string option = "--https-cert", file = files.Certificate;
        try
        {
            string certificate = await FileLooks.ReadText(file, BytesMax, cancellation);
            (option, file) = ("--https-key", files.Key);
            string key = await FileLooks.ReadText(file, BytesMax, cancellation);
            return Of(files, certificate, key, facts);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            return (null, facts with
            {
                Unusable = ($"{option} {file} cannot be read: {e.Message.TrimEnd('.')}",
                    "Put the PEM file there, readable for the user of dsops."),
            });
        }
    }

    /// <summary>With those that signed it: a client knows the root alone.</summary>
    public SslStreamCertificateContext Context() => SslStreamCertificateContext.Create(Certificate, Signers, offline: true);

    private static (PemPair? Pair, CertificateFacts Facts) Of(PemFiles files, string certificate, string key, CertificateFacts facts)
    {
        var all = new X509Certificate2Collection();
        try
        {
            all.ImportFromPem(certificate);
        }
        catch (CryptographicException)
        {
            all.Clear();
        }

        if (all.Count == 0)
        {
            return (null, facts with
            {
                Unusable = ($"--https-cert {files.Certificate} has no certificate in PEM",
                    "It begins with -----BEGIN CERTIFICATE-----, the server's own first and those that signed it after it."),
            });
        }

        if (Unfit(files, key) is { } unfit)
        {
            return (null, facts with { Unusable = unfit });
        }

        X509Certificate2 own;
        try
        {
            own = X509Certificate2.CreateFromPem(certificate, key);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return (null, facts with
            {
                Unusable = ($"--https-key {files.Key} is not the key of the first certificate in {files.Certificate}",
                    "Name the key that the certificate was made with; the server's own certificate stands first in its file."),
            });
        }

        all.RemoveAt(0);
        return (new PemPair(own, all, certificate + key), facts with
        {
            From = own.NotBefore.ToUniversalTime(),
            Until = own.NotAfter.ToUniversalTime(),
            Names = [.. NamesOf(own)],
            NotNamed = [.. files.Hosts.Where(host => !own.MatchesHostname(host, allowCommonName: false))],
        });
    }

    private static (string What, string Fix)? Unfit(PemFiles files, string key) =>
        key.Contains("ENCRYPTED", StringComparison.Ordinal)
        ? ($"--https-key {files.Key} is encrypted, and nobody is there to type its words",
            "Write it without: openssl pkey -in FILE -out FILE2; keep it with mode 0600.")
        : !key.Contains("PRIVATE KEY-----", StringComparison.Ordinal) ? ($"--https-key {files.Key} has no private key in PEM",
            "It begins with -----BEGIN PRIVATE KEY-----.")
        : null;

    private static IEnumerable<string> NamesOf(X509Certificate2 certificate) => certificate.Extensions
        .OfType<X509SubjectAlternativeNameExtension>()
        .SelectMany(names => names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(address => address.ToString())));
}
