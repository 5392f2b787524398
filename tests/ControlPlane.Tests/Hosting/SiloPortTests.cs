using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using DeepSeekOps.ControlPlane.Hosting;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Hosting;

/// <summary>A silo's port answers who has the key, and nobody else.</summary>
public sealed class SiloPortTests : IAsyncLifetime
{
    private static readonly byte[] Secret = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];

    private readonly int port = LoopbackPort.Free();
    private IHost silo = null!;

    public async ValueTask InitializeAsync()
    {
        silo = new HostBuilder().UseOrleans(builder =>
        {
            builder.UseLocalhostClustering();
            builder.UseSiloPort(new IPEndPoint(IPAddress.Loopback, port), SiloPort.Certificate(Secret));
        }).Build();
        await silo.StartAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await silo.StopAsync(CancellationToken.None);
        silo.Dispose();
    }

    [Fact]
    public async Task Who_has_the_key_is_answered_and_sees_that_the_silo_has_it_too()
    {
        using var ours = SiloPort.Certificate(Secret);
        using var stream = await Connect(ours, theirs => SiloPort.IsOurs(ours, theirs));
        // A silo begins by saying who it is.
        Assert.True(await stream.ReadAsync(new byte[1], TestContext.Current.CancellationToken) > 0);
    }

    [Fact]
    public async Task Who_has_another_key_or_none_hears_nothing()
    {
        using var another = SiloPort.Certificate([.. Secret.Reverse()]);
        Assert.False(await Answered(another));
        Assert.False(await Answered(null));
        using var plain = new TcpClient();
        await plain.ConnectAsync(IPAddress.Loopback, port, TestContext.Current.CancellationToken);
        await plain.GetStream().WriteAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        using var ours = SiloPort.Certificate(Secret);
        await Assert.ThrowsAnyAsync<Exception>(() => Connect(ours, theirs => SiloPort.IsOurs(another, theirs)));
    }

    [Fact]
    public void The_same_key_gives_the_same_public_key_whoever_makes_the_certificate()
    {
        using var one = SiloPort.Certificate(Secret);
        using var other = SiloPort.Certificate(Secret);
        Assert.True(SiloPort.IsOurs(one, other));
        Assert.NotEqual(one.Thumbprint, other.Thumbprint);
        // Any number is a key, also one beyond the order of the curve.
        using var largest = SiloPort.Certificate([.. Enumerable.Repeat(byte.MaxValue, 32)]);
        Assert.False(SiloPort.IsOurs(one, largest));
    }

    private async Task<bool> Answered(X509Certificate2? certificate)
    {
        try
        {
            using var stream = await Connect(certificate, _ => true);
            return await stream.ReadAsync(new byte[1], TestContext.Current.CancellationToken) > 0;
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            return false;
        }
    }

    private async Task<SslStream> Connect(X509Certificate2? certificate, Func<X509Certificate2, bool> valid)
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, TestContext.Current.CancellationToken);
        var stream = new SslStream(client.GetStream());
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "anybody",
            ClientCertificates = certificate is null ? [] : [certificate],
            RemoteCertificateValidationCallback = (_, theirs, _, _) => theirs is X509Certificate2 shown && valid(shown),
        }, TestContext.Current.CancellationToken);
        return stream;
    }
}
