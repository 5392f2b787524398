using System.Net;
using System.Security.Cryptography.X509Certificates;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Hosting;

/// <summary>A deputy lives and is not ready. Costs a small web server.</summary>
public sealed class WaitingPortTests
{
    private static readonly TlsDoors Doors = TlsDoors.Own(new AccessKey(new byte[AccessKey.Bytes]));

    [Fact]
    public async Task Beyond_this_machine_it_speaks_TLS_as_the_control_plane_will()
    {
        var cancelled = TestContext.Current.CancellationToken;
        var at = new IPEndPoint(IPAddress.Any, LoopbackPort.Free());
        string pin = "";
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) =>
        {
            pin = shown is X509Certificate2 theirs ? DerivedCertificate.PinOf(theirs) : "";
            return pin.Length > 0;
        };
        using var http = new HttpClient(handler);
        await using var port = await WaitingPort.Open(at, Doors, cancelled);
        Assert.Equal("ok\n", await http.GetStringAsync(new Uri($"https://127.0.0.1:{at.Port}/livez"), cancelled));
        Assert.Equal(Doors.Pin, pin);
        using var clear = await http.GetAsync(new Uri($"http://127.0.0.1:{at.Port}/metrics"), cancelled);
        Assert.Equal(HttpStatusCode.BadRequest, clear.StatusCode);
    }

    [Fact]
    public async Task Who_waits_for_its_turn_lives_and_says_for_whom_it_waits()
    {
        var cancelled = TestContext.Current.CancellationToken;
        var at = new IPEndPoint(IPAddress.Loopback, LoopbackPort.Free());
        using var http = new HttpClient { BaseAddress = new Uri($"http://{at}") };
        await using (var port = await WaitingPort.Open(at, Doors, cancelled))
        {
            port.WaitsFor = "It waits for ann.";
            Assert.Equal("ok\n", await http.GetStringAsync(new Uri("/livez", UriKind.Relative), cancelled));
            foreach (string path in new[] { "/readyz", "/metrics", "/" })
            {
                using var answer = await http.GetAsync(new Uri(path, UriKind.Relative), cancelled);
                Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
                Assert.Equal("not ready\nprocess: It waits for ann.\n", await answer.Content.ReadAsStringAsync(cancelled));
            }
        }

        Assert.True(LoopbackPort.IsFree(at.Port), "the control plane itself listens there next");
    }
}
