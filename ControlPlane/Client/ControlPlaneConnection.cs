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
    private ControlPlaneConnection(string address, Uri pages, string token)
    {
        http = new HttpClient(new TokenHeader(token, "cli") { InnerHandler = new SocketsHttpHandler { UseProxy = false } })
        {
            BaseAddress = pages, Timeout = Timeout.InfiniteTimeSpan,
        };
        channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            MaxReceiveMessageSize = AnswerBytesMax,
            HttpHandler = new TokenHeader(token, "cli", $"{Environment.UserName}@{Environment.MachineName}")
            {
                InnerHandler = new SocketsHttpHandler { UseProxy = false },
            },
            DisposeHttpClient = true,
        });
        Client = new OpsService.OpsServiceClient(channel);
    }

    public OpsService.OpsServiceClient Client { get; }

    public static async Task<ControlPlaneConnection> Open(string dataDirectory, string? server, CancellationToken cancellation) =>
        server is { Length: > 0 } ? await FirstOf(dataDirectory, server, cancellation) : Here(dataDirectory);

    /// <summary>Every call has a deadline; a stream lives until its token.</summary>
    public static CallOptions Options(CancellationToken cancellation) =>
        new(deadline: TimeProvider.System.GetUtcNow().UtcDateTime + AnswerWithin, cancellationToken: cancellation);

    /// <summary>What the dashboard's port answers, as it comes: it may be long.</summary>
    public async Task<Stream> Get(string path, CancellationToken cancellation)
    {
        try
        {
            var answer = await http.GetAsync(new Uri(path, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, cancellation);
            return answer.IsSuccessStatusCode ? await answer.Content.ReadAsStreamAsync(cancellation) : throw new RefusalException(
                $"{http.BaseAddress}{path.Split('?')[0].TrimStart('/')} was answered with {(int)answer.StatusCode}.",
                "Look at the control plane's log; a viewer of the run's team may read it.");
        }
        catch (HttpRequestException e)
        {
            throw new RefusalException($"No control plane answers at {http.BaseAddress}.",
                "Check that `dsops dev` or `dsops serve` runs there.", ExitCode.NotReachable, e);
        }
    }

    public void Dispose()
    {
        http.Dispose();
        channel.Dispose();
    }

    private static ControlPlaneConnection Here(string dataDirectory)
    {
        var found = Running(dataDirectory);
        return new ControlPlaneConnection(found.Grpc, new Uri(found.Http), found.Token ?? "");
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
    private static async Task<ControlPlaneConnection> FirstOf(string dataDirectory, string servers, CancellationToken cancellation)
    {
        string[] all = servers.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        foreach (string server in all.SkipLast(1))
        {
            try
            {
                return await Elsewhere(dataDirectory, server, cancellation);
            }
            catch (RefusalException e) when (e.Code == ExitCode.NotReachable)
            {
                // It waits for its turn, or is gone.
            }
        }

        return await Elsewhere(dataDirectory, all.Length > 0 ? all[^1] : servers, cancellation);
    }

    /// <summary>
    /// People know the dashboard's address; gRPC is on another port, which that address tells. The token comes from the environment, or
    /// from the data directory where it is the one of this very address: no other server is shown it.
    /// </summary>
    private static async Task<ControlPlaneConnection> Elsewhere(string dataDirectory, string server, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(server, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            throw new RefusalException($"--server {server} is not an address.", "Write it as http://host:port, as the dashboard is opened.",
                ExitCode.Usage);
        }
        string token = Environment.GetEnvironmentVariable(TokenVariable) is { Length: > 0 } given ? given
            : ControlFile.Read(dataDirectory) is { } own && Uri.TryCreate(own.Http, UriKind.Absolute, out var at) && at.Port == url.Port
                && url.IsLoopback
                ? own.Token ?? "" : "";
        using var http = new HttpClient(new TokenHeader(token, "cli") { InnerHandler = new SocketsHttpHandler() })
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
            // Bound to a loopback or wildcard address there, it is reached here by the name that was given.
            return new ControlPlaneConnection(new UriBuilder(control.Grpc) { Host = url.Host }.Uri.GetLeftPart(UriPartial.Authority),
                url, token);
        }
        catch (HttpRequestException e) when (e.StatusCode is System.Net.HttpStatusCode.Unauthorized or System.Net.HttpStatusCode.Forbidden)
        {
            throw new RefusalException($"The control plane at {server} asks who is there.",
                $"Set {TokenVariable} to a token that an admin made for you, or to the one in control-plane.json of its data directory.",
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
