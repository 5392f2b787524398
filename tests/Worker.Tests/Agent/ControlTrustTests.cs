using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

/// <summary>Whom an agent shows its token, over real ports. A small web server each: one second.</summary>
public sealed class ControlTrustTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(1)]
    // Its time and names are not asked after: the key is.
    [InlineData(-300)]
    public async Task Who_has_the_key_of_the_pin_is_told_and_nobody_else_is_shown_the_token(int until)
    {
        using var certificate = Certificate(until);
        var ledger = new TestLedger();
        await using var server = await Serve(ledger, certificate);
        string address = Address(server);
        Assert.IsType<ControlPlaneAnswer.Replied>(await Register(address, PinOf(certificate)));
        Assert.Equal(["Bearer secret"], ledger.Tokens);
        ledger.Tokens.Clear();
        using var another = Certificate(1);
        Assert.Contains("it shows another key", Lost(await Register(address, PinOf(another))), StringComparison.Ordinal);
        Assert.Contains("DSOPS_CONTROL_PIN is not set", Lost(await Register(address, pin: "")), StringComparison.Ordinal);
        Assert.Empty(ledger.Tokens);
    }

    [Fact]
    public async Task A_port_in_clear_is_shown_no_token_where_TLS_was_meant()
    {
        using var certificate = Certificate(1);
        var ledger = new TestLedger();
        await using var server = await Serve(ledger, null);
        string address = Address(server);
        Lost(await Register(address.Replace("http:", "https:", StringComparison.Ordinal), PinOf(certificate)));
        Assert.Contains("is in clear, and DSOPS_CONTROL_PIN says", Lost(await Register(address, PinOf(certificate))),
            StringComparison.Ordinal);
        Assert.Contains("would show this agent's token", Lost(await Register("http://dsops-agents.dsops:5082", pin: "")),
            StringComparison.Ordinal);
        Assert.Empty(ledger.Tokens);
        // Within one machine, as local pods do.
        Assert.IsType<ControlPlaneAnswer.Replied>(await Register(address, pin: ""));
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true)]
    [InlineData("sha256//AAAA", false)]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false)]
    [InlineData("sha256//?", false)]
    public void A_pin_has_a_form(string pin, bool well) => Assert.Equal(well, ControlTrust.Problem(pin) is null);

    private static string Lost(ControlPlaneAnswer answer) => Assert.IsType<ControlPlaneAnswer.Lost>(answer).Reason;

    private static async Task<ControlPlaneAnswer> Register(string address, string pin)
    {
        var news = Channel.CreateUnbounded<AgentNews>();
        var options = new AgentOptions
        {
            Node = "node-0", Run = "mini", Stage = "pretrain", Attempt = 1, PodDirectory = "pod", ControlUrl = address, ControlPin = pin,
            Token = "secret",
        };
        using var contact = new ControlPlaneContact(options, news.Writer, Start);
        contact.Advance(Start, waiting: false, () => new RegisterRequest(), () => new HeartbeatRequest(), () => null);
        return Assert.IsType<AgentNews.Answered>(await news.Reader.ReadAsync(TestContext.Current.CancellationToken)).Answer;
    }

    private static string Address(WebApplication app) =>
        app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    private static async Task<WebApplication> Serve(TestLedger ledger, X509Certificate2? certificate)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            if (certificate is not null)
            {
                listen.UseHttps(certificate);
            }
        }));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(ledger);
        var app = builder.Build();
        app.MapGrpcService<TestControlPlane>();
        await app.StartAsync();
        return app;
    }

    private static X509Certificate2 Certificate(int until)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = TimeProvider.System.GetUtcNow();
        return new CertificateRequest("CN=dsops", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddYears(-1), now.AddDays(until));
    }

    private static string PinOf(X509Certificate2 certificate) =>
        "sha256//" + Convert.ToBase64String(SHA256.HashData(certificate.PublicKey.ExportSubjectPublicKeyInfo()));
}
