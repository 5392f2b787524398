using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using DeepSeekOps.Decisions.Doctor;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Hosting.Tls;

/// <summary>The files of a certificate, which somebody renews. Small files, no port: half a second.</summary>
public sealed class RenewedCertificateTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-tls-").FullName;
    private readonly Authority authority = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Renewed_files_are_shown_without_a_restart_and_broken_ones_leave_what_was()
    {
        using var first = authority.Sign("ops.example.com");
        using var second = authority.Sign("ops.example.com");
        using var third = authority.Sign("ops.example.com");
        var clock = new FakeTimeProvider(Authority.Now);
        using var certificate = await RenewedCertificate.Open(Files(first), clock, Cancelled);
        Assert.Equal(first.Thumbprint, certificate.Context.TargetCertificate.Thumbprint);
        // Half of a renewal: the new certificate beside the old key.
        await File.WriteAllTextAsync(Path.Combine(folder, "tls.crt"), second.ExportCertificatePem(), Cancelled);
        await certificate.Look();
        Assert.Equal(first.Thumbprint, certificate.Context.TargetCertificate.Thumbprint);
        await File.WriteAllTextAsync(Path.Combine(folder, "tls.key"), Authority.KeyOf(second), Cancelled);
        await certificate.Look();
        Assert.Equal(second.Thumbprint, certificate.Context.TargetCertificate.Thumbprint);
        Authority.Write(folder, third);
        // By itself, at its next look.
        clock.Advance(RenewedCertificate.LookEvery);
        while (certificate.Context.TargetCertificate.Thumbprint != third.Thumbprint)
        {
            Cancelled.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    [Fact]
    public async Task Files_that_cannot_be_shown_are_refused_with_the_reason()
    {
        using var own = authority.Sign("ops.example.com");
        using var another = authority.Sign("ops.example.com");
        var (file, key) = Authority.Write(folder, own);
        await Is("no-such.crt cannot be read", Path.Combine(folder, "no-such.crt"), key);
        await Is("--https-key", file, Path.Combine(folder, "no-such.key"));
        await Is("has no certificate in PEM", await Text("a.crt", "not a certificate"), key);
        await Is("has no certificate in PEM", key, key);
        await Is("has no private key in PEM", file, file);
        await Is("is not the key of the first certificate", file, await Text("b.key", Authority.KeyOf(another)));
        await Is("is encrypted", file, await Text("c.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    }

    [Fact]
    public async Task Names_are_those_of_the_certificate_with_its_wildcards()
    {
        using var certificate = authority.Sign("ops.example.com,*.example.org");
        var (_, facts) = await PemPair.Read(
            Files(certificate) with { Hosts = ["OPS.example.com", "a.example.org", "a.b.example.org", "10.0.0.5"] }, Cancelled);
        Assert.Equal(["a.b.example.org", "10.0.0.5"], facts.NotNamed);
        Assert.Equal(["ops.example.com", "*.example.org"], facts.Names);
        Assert.DoesNotContain(CertificateCheck.Of(facts with { NotNamed = [] }, Authority.Now), f => f.Level > FindingLevel.Ok);
    }

    public void Dispose()
    {
        authority.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private PemFiles Files(System.Security.Cryptography.X509Certificates.X509Certificate2 certificate)
    {
        var (file, key) = Authority.Write(folder, certificate);
        return new PemFiles(file, key, ["ops.example.com"]);
    }

    private async Task<string> Text(string name, string text)
    {
        string path = Path.Combine(folder, name);
        await File.WriteAllTextAsync(path, text, Cancelled);
        return path;
    }

    private static async Task Is(string words, string file, string key)
    {
        var refused = await Assert.ThrowsAsync<RefusalException>(
            () => RenewedCertificate.Open(new PemFiles(file, key, []), TimeProvider.System, Cancelled));
        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
        Assert.NotEmpty(refused.Fix);
    }
}
