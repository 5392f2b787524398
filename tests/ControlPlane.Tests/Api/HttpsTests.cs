using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Tests.Hosting.Tls;
using Grpc.Net.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>What crosses a network, over real ports, on the control plane of AccessTests. Two seconds.</summary>
[Collection(nameof(AccessTests))]
public sealed class HttpsTests(AccessTests.Host host)
{
    private const string Name = AccessTests.Host.PublicName;

    private int Port => host.Endpoints.Https!.Port;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_port_answers_pages_REST_and_gRPC_and_asks_who_is_there()
    {
        using var http = Client();
        foreach (var version in new[] { HttpVersion.Version11, HttpVersion.Version20 })
        {
            using var refused = await Send(http, "/v1/version", token: null, version);
            Assert.Equal((HttpStatusCode.Unauthorized, version), (refused.StatusCode, refused.Version));
            using var answer = await Send(http, "/v1/version", host.Key.PeoplesToken, version);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal("max-age=31536000", Assert.Single(answer.Headers.GetValues("Strict-Transport-Security")));
        }

        using var clear = await host.Http.GetAsync(new Uri("/healthz", UriKind.Relative), Cancelled);
        Assert.False(clear.Headers.Contains("Strict-Transport-Security"));
        using var channel = GrpcChannel.ForAddress($"https://{Name}:{Port}", new GrpcChannelOptions
        {
            HttpHandler = new TokenHeader(host.Key.PeoplesToken) { InnerHandler = Handler() }, DisposeHttpClient = true,
        });
        var ops = new OpsService.OpsServiceClient(channel);
        Assert.NotEmpty((await ops.GetVersionAsync(new GetVersionRequest(), cancellationToken: Cancelled)).Version);
    }

    [Fact]
    public async Task It_tells_programs_no_address_in_clear()
    {
        using var http = Client();
        using var answer = await Send(http, "/control-plane.json", host.Key.PeoplesToken);
        string text = await answer.Content.ReadAsStringAsync(Cancelled);
        Assert.Contains($"\"grpc\":\"https://{Name}:{Port}\"", text.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain("http://", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("evil.example.com")]
    [InlineData("127.0.0.1")]
    public async Task A_name_that_its_operator_did_not_give_is_refused(string other)
    {
        var handler = Handler();
        // The client takes the header for the name to be proved.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null;
        using var http = new HttpClient(handler);
        using var ask = new HttpRequestMessage(HttpMethod.Get, $"https://{Name}:{Port}/v1/version");
        ask.Headers.Authorization = new("Bearer", host.Key.PeoplesToken);
        ask.Headers.Host = other;
        using var answer = await http.SendAsync(ask, Cancelled);
        Assert.Equal(HttpStatusCode.MisdirectedRequest, answer.StatusCode);
        Assert.Contains($"to {Name} and localhost alone", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_cookie_is_for_TLS_and_this_host_alone_and_pages_from_elsewhere_cannot_use_it()
    {
        using var http = Client();
        using var opened = await Send(http, $"/?code={host.Key.PageCode}", token: null);
        string cookie = Assert.Single(opened.Headers.GetValues("Set-Cookie"));
        Assert.StartsWith("__Host-dsops-", cookie, StringComparison.Ordinal);
        Assert.Contains("; secure", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("; path=/;", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("domain=", cookie, StringComparison.OrdinalIgnoreCase);
        foreach (var (origin, expected) in new[]
        {
            ($"https://{Name}:{Port}", HttpStatusCode.NotFound), ($"http://{Name}:{Port}", HttpStatusCode.Forbidden),
            ($"https://{Name}", HttpStatusCode.Forbidden), ("https://evil.example.com", HttpStatusCode.Forbidden),
            ("null", HttpStatusCode.Forbidden), ("", HttpStatusCode.Forbidden),
        })
        {
            using var ask = new HttpRequestMessage(HttpMethod.Post, $"https://{Name}:{Port}/v1/runs/x:pause")
            {
                Content = new StringContent("{}", Encoding.UTF8, "application/json"),
            };
            ask.Headers.Add("Cookie", cookie.Split(';')[0]);
            if (origin.Length > 0)
            {
                ask.Headers.Add("Origin", origin);
            }

            using var answer = await http.SendAsync(ask, Cancelled);
            Assert.True(answer.StatusCode == expected, $"{origin}: {answer.StatusCode}");
        }
    }

    [Fact]
    public async Task Who_speaks_in_clear_to_a_port_of_TLS_is_told_so()
    {
        foreach (int port in new[] { Port, host.Endpoints.Agents!.Port })
        {
            using var answer = await host.Http.GetAsync(new Uri($"http://127.0.0.1:{port}/v1/runs"), Cancelled);
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            string told = await answer.Content.ReadAsStringAsync(Cancelled);
            Assert.StartsWith("This port speaks TLS: write https://", told, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Agents_of_another_key_are_shown_another_pin()
    {
        string pin = "";
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) =>
        {
            pin = shown is X509Certificate2 theirs ? ControlPlane.Hosting.Tls.DerivedCertificate.PinOf(theirs) : "";
            return pin.Length > 0;
        };
        using var channel = GrpcChannel.ForAddress($"https://{host.Endpoints.Agents}", new GrpcChannelOptions { HttpHandler = handler });
        await Assert.ThrowsAsync<Grpc.Core.RpcException>(() => new WorkerService.WorkerServiceClient(channel)
            .RegisterAsync(new RegisterRequest(), cancellationToken: Cancelled).ResponseAsync);
        using var same = ControlPlane.Hosting.Tls.TlsDoors.Own(host.Key);
        using var other = ControlPlane.Hosting.Tls.TlsDoors.Own(new ControlPlane.Api.AccessKey(new byte[32]));
        Assert.Equal((same.Pin, false), (pin, other.Pin == pin));
    }

    /// <summary>It got as far as being asked who it is: the certificate was believed.</summary>
    [Fact]
    public async Task The_command_line_believes_who_its_authorities_have_signed()
    {
        string server = $"https://localhost:{Port}";
        Assert.Contains("asks who is there", await Verb(server, "--ca", host.Ca), StringComparison.Ordinal);
        string unknown = await Verb(server);
        Assert.Contains("is signed by nobody of this machine's authorities", unknown, StringComparison.Ordinal);
        Assert.Contains("--ca FILE", unknown, StringComparison.Ordinal);
        using var another = new Authority();
        string file = Path.Combine(Path.GetDirectoryName(host.Ca)!, "another-ca.crt");
        await File.WriteAllTextAsync(file, another.Pem, Cancelled);
        Assert.Contains("is signed by nobody of --ca", await Verb(server, "--ca", file), StringComparison.Ordinal);
        Assert.Contains("is not made for 127.0.0.1", await Verb($"https://127.0.0.1:{Port}", "--ca", host.Ca), StringComparison.Ordinal);
        Assert.Contains("would show the token", await Verb("http://ops.example.com:5080"), StringComparison.Ordinal);
        Assert.Contains("cannot be read", await Verb(server, "--ca", file + "x"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_expired_certificate_is_refused_with_its_time()
    {
        using var authority = new Authority();
        using var expired = authority.Sign("localhost", from: -9, until: -1);
        string file = Path.Combine(Path.GetDirectoryName(host.Ca)!, "old-ca.crt");
        await File.WriteAllTextAsync(file, authority.Pem, Cancelled);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var served = Serve(listener, expired);
        string told = await Verb($"https://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}", "--ca", file);
        await served;
        Assert.Contains("a certificate is not good now: CN=dsops of a test is from", told, StringComparison.Ordinal);
    }

    private static async Task Serve(TcpListener listener, X509Certificate2 certificate)
    {
        using var client = await listener.AcceptTcpClientAsync(Cancelled);
        await using var stream = new SslStream(client.GetStream());
        try
        {
            await stream.AuthenticateAsServerAsync(certificate);
            await stream.ReadAtLeastAsync(new byte[1], 1, throwOnEndOfStream: false, Cancelled);
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            // The client went away, as it should.
        }
    }

    private static async Task<string> Verb(string server, params string[] more)
    {
        using var error = new StringWriter();
        var terminal = new Terminal(TextWriter.Null, error, 1_000, Colors: false, Interactive: false);
        int code = await CommandLine.Run(["runs", "--data-dir", "no-such-folder", "--server", server, .. more], terminal, Cancelled);
        Assert.NotEqual(ExitCode.Ok, code);
        return error.ToString();
    }

    private static Task<HttpResponseMessage> Send(HttpClient http, string path, string? token, Version? version = null)
    {
        var ask = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative))
        {
            Version = version ?? HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (token is not null)
        {
            ask.Headers.Authorization = new("Bearer", token);
        }

        return http.SendAsync(ask, Cancelled);
    }

    private HttpClient Client() => new(Handler()) { BaseAddress = new Uri($"https://{Name}:{Port}") };

    /// <summary>By its public name, which no name server has to know.</summary>
    private SocketsHttpHandler Handler()
    {
        var handler = ServerTrust.Of(host.Ca).Handler();
        (handler.AllowAutoRedirect, handler.UseCookies) = (false, false);
        handler.ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Port), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        };
        return handler;
    }
}
