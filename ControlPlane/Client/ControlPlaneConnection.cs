using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.Contracts.Ops.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>A channel to the control plane that the options name: by its data directory, or by the address of its dashboard.</summary>
internal sealed class ControlPlaneConnection : IDisposable
{
    public const string TokenVariable = "DSOPS_TOKEN";
    public const string ServerVariable = "DSOPS_SERVER";

    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(15);

    /// <summary>A recording with all of its spans is some MB.</summary>
    private const int AnswerBytesMax = 16 << 20;

    private readonly GrpcChannel channel;
    private readonly HttpClient http;

    /// <param name="pages">Address of the dashboard, which answers what is no call.</param>
    /// <param name="trust">Of both.</param>
    private ControlPlaneConnection(string address, Uri pages, string token, ServerTrust trust)
    {
        string user = $"{Environment.UserName}@{Environment.MachineName}";
        http = new HttpClient(new TokenHeader(token, "cli", user) { InnerHandler = trust.Handler() })
        {
            BaseAddress = pages, Timeout = Timeout.InfiniteTimeSpan,
        };
        channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            MaxReceiveMessageSize = AnswerBytesMax,
            HttpHandler = new TokenHeader(token, "cli", user)
            {
                InnerHandler = trust.Handler(),
            },
            DisposeHttpClient = true,
        });
        Client = new OpsService.OpsServiceClient(channel);
    }

    public OpsService.OpsServiceClient Client { get; }

    /// <param name="ca">Authorities that sign the server's certificate. Null: this machine's.</param>
    public static async Task<ControlPlaneConnection> Open(
        string dataDirectory, string? server, string? ca, CancellationToken cancellation) => server is { Length: > 0 }
            ? await FirstOf(dataDirectory, server, ServerTrust.Of(ca), cancellation) : Here(dataDirectory);

    /// <summary>Every call has a deadline; a stream lives until its token.</summary>
    public static CallOptions Options(CancellationToken cancellation) =>
        new(deadline: TimeProvider.System.GetUtcNow().UtcDateTime + AnswerWithin, cancellationToken: cancellation);

    /// <summary>What the dashboard's port answers, as it comes: it may be long.</summary>
    public Task<Stream> Get(string path, CancellationToken cancellation) => Send(HttpMethod.Get, path, null, cancellation);

    /// <summary>A body that may be long too.</summary>
    public Task<Stream> Post(string path, Stream body, CancellationToken cancellation) =>
        Send(HttpMethod.Post, path, new StreamContent(body), cancellation);

    private async Task<Stream> Send(HttpMethod method, string path, HttpContent? body, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative)) { Content = body };
        try
        {
            var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            return answer.IsSuccessStatusCode ? await answer.Content.ReadAsStreamAsync(cancellation)
                : throw Refused(await answer.Content.ReadAsStringAsync(cancellation),
                    $"{http.BaseAddress}{path.Split('?')[0].TrimStart('/')}", (int)answer.StatusCode);
        }
        catch (HttpRequestException e)
        {
            throw new RefusalException($"No control plane answers at {http.BaseAddress}.",
                "Check that `dsops dev` or `dsops serve` runs there.", ExitCode.NotReachable, e);
        }
    }

    /// <summary>In the words of who refused, as a problem (RFC 9457) or as a google.rpc.Status.</summary>
    private static RefusalException Refused(string body, string url, int status)
    {
        string Said(JsonElement told, string name) =>
            told.ValueKind == JsonValueKind.Object && told.TryGetProperty(name, out var word) && word.ValueKind == JsonValueKind.String
                ? word.GetString() ?? "" : "";
        try
        {
            using var told = JsonDocument.Parse(body);
            string why = Said(told.RootElement, "detail") is { Length: > 0 } detail ? detail : Said(told.RootElement, "message");
            if (why.Length > 0)
            {
                return new RefusalException(why, Said(told.RootElement, "fix"));
            }
        }
        catch (JsonException)
        {
            // Not one of ours: a proxy's page.
        }

        return new RefusalException($"{url} was answered with {status}.",
            "Look at the control plane's log; a viewer of the run's team may read it.");
    }

    public void Dispose()
    {
        http.Dispose();
        channel.Dispose();
    }

    private static ControlPlaneConnection Here(string dataDirectory)
    {
        var found = Running(dataDirectory);
        return new ControlPlaneConnection(found.Grpc, new Uri(found.Http), found.Token ?? "", ServerTrust.Of(null));
    }

    /// <summary>The control plane of a data directory, as the file in it tells.</summary>
    public static ControlFile Running(string dataDirectory)
    {
        string shown = dataDirectory == ControlFile.UsualDirectory ? "" : $" --data-dir {dataDirectory}";
        if (IsAnotherUsers(dataDirectory))
        {
            throw new RefusalException($"The data directory {Path.GetFullPath(dataDirectory)} is another user's.",
                "Run it as the user who started `dsops dev`, or name another with --data-dir DIR.", ExitCode.NotReachable);
        }

        return ControlFile.Read(dataDirectory) is { } found && found.ProcessLives()
            ? found
            : throw new RefusalException($"No control plane runs on {Path.GetFullPath(dataDirectory)}.",
                $"Start one with `dsops dev{shown}`, or name another with --data-dir DIR or --server URL.", ExitCode.NotReachable);
    }

    private static bool IsAnotherUsers(string dataDirectory)
    {
        try
        {
            using var read = File.OpenRead(Path.Combine(dataDirectory, ControlFile.Name));
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Of those that stand in for each other one answers, the others wait. If none does, the last one's words are told.</summary>
    private static async Task<ControlPlaneConnection> FirstOf(
        string dataDirectory, string servers, ServerTrust trust, CancellationToken cancellation)
    {
        string[] all = servers.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        foreach (string server in all.SkipLast(1))
        {
            try
            {
                return await Elsewhere(dataDirectory, server, trust, cancellation);
            }
            catch (RefusalException e) when (e.Code == ExitCode.NotReachable)
            {
                // It waits for its turn, or is gone.
            }
        }

        return await Elsewhere(dataDirectory, all.Length > 0 ? all[^1] : servers, trust, cancellation);
    }

    /// <summary>
    /// People know the dashboard's address. By https that is gRPC's too; on this machine it tells of gRPC's other port. The token comes
    /// from the environment, or from the data directory where it is the one of this very address: no other server is shown it.
    /// </summary>
    private static async Task<ControlPlaneConnection> Elsewhere(
        string dataDirectory, string server, ServerTrust trust, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(server, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            throw new RefusalException($"--server {server} is not an address.", "Write it as https://host, as the dashboard is opened.",
                ExitCode.Usage);
        }
        if (url.Scheme == Uri.UriSchemeHttp && !url.IsLoopback)
        {
            throw new RefusalException($"--server {server} would show the token to whoever reads along on the way.",
                "Write https:// (`dsops serve --https`), or come by `ssh -L` or `kubectl port-forward` and write http://127.0.0.1:PORT.",
                ExitCode.Usage);
        }
        string token = Environment.GetEnvironmentVariable(TokenVariable) is { Length: > 0 } given ? given
            : ControlFile.Read(dataDirectory) is { } own && Uri.TryCreate(own.Http, UriKind.Absolute, out var at) && at.Port == url.Port
                && url.IsLoopback
                ? own.Token ?? "" : "";
        using var http = new HttpClient(new TokenHeader(token, "cli") { InnerHandler = trust.Handler() })
        {
            Timeout = TimeSpan.FromSeconds(10),
        };
        try
        {
            var control =
                await http.GetFromJsonAsync(new Uri(url, "/control-plane.json"), ControlFileJson.Default.ControlFile, cancellation);
            if (control is null)
            {
                throw new JsonException("empty answer");
            }
            // Bound to a loopback address there, it is reached here by the name that was given.
            var grpc = url.Scheme == Uri.UriSchemeHttps ? url : new UriBuilder(control.Grpc) { Host = url.Host }.Uri;
            return new ControlPlaneConnection(grpc.GetLeftPart(UriPartial.Authority), url, token, trust);
        }
        catch (HttpRequestException e) when (e.StatusCode is System.Net.HttpStatusCode.Unauthorized or System.Net.HttpStatusCode.Forbidden)
        {
            throw new RefusalException($"The control plane at {server} asks who is there.",
                $"Set {TokenVariable} to a token that an admin made for you, or to the one in control-plane.json of its data directory.",
                ExitCode.Failed, e);
        }
        catch (HttpRequestException e) when (trust.Doubt.Length > 0)
        {
            throw new RefusalException($"{server} is not believed to be the control plane: {trust.Doubt}.",
                $"Name the certificate of who signed it with --ca FILE or {ServerTrust.Variable}, or have its operator run `dsops doctor`.",
                ExitCode.Failed, e);
        }
        catch (Exception e) when (e is HttpRequestException or JsonException
            || (e is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new RefusalException($"No control plane answers at {server}.",
                "Check the address, and that `dsops dev` or `dsops serve` runs there.",
                ExitCode.NotReachable, e);
        }
    }
}
