using System.Net;
using DeepSeekOps.ControlPlane.Hosting;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Hosting;

/// <summary>A deputy lives and is not ready. Costs a small web server.</summary>
public sealed class WaitingPortTests
{
    [Fact]
    public async Task Who_waits_for_its_turn_lives_and_says_for_whom_it_waits()
    {
        var cancelled = TestContext.Current.CancellationToken;
        var at = new IPEndPoint(IPAddress.Loopback, LoopbackPort.Free());
        using var http = new HttpClient { BaseAddress = new Uri($"http://{at}") };
        await using (var port = await WaitingPort.Open(at, cancelled))
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
