using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Hosting;
using Grpc.Core;
using Grpc.Net.Client;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>A channel to the control plane that the options name: by its data directory, or by the address of its dashboard.</summary>
internal sealed class ControlPlaneConnection : IDisposable
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(15);

    private readonly GrpcChannel channel;

    private ControlPlaneConnection(string address)
    {
        channel = GrpcChannel.ForAddress(address);
        Client = new OpsService.OpsServiceClient(channel);
    }

    public OpsService.OpsServiceClient Client { get; }

    public static async Task<ControlPlaneConnection> Open(string dataDirectory, string? server, CancellationToken cancellation) =>
        new(server is { Length: > 0 } ? await AddressFrom(server, cancellation) : AddressOf(dataDirectory));

    /// <summary>Every call has a deadline; a stream lives until its token.</summary>
    public static CallOptions Options(CancellationToken cancellation) =>
        new(deadline: TimeProvider.System.GetUtcNow().UtcDateTime + AnswerWithin, cancellationToken: cancellation);

    public void Dispose() => channel.Dispose();

    private static string AddressOf(string dataDirectory)
    {
        string shown = dataDirectory == CommonOptions.DefaultDataDirectory ? "" : $" --data-dir {dataDirectory}";
        var control = ControlFile.Read(dataDirectory);
        return control is { } found && found.ProcessLives()
            ? found.Grpc
            : throw new RefusalException($"No control plane runs on {Path.GetFullPath(dataDirectory)}.",
                $"Start one with `dsops dev{shown}`, or name another with --data-dir DIR or --server URL.", ExitCode.NotReachable);
    }

    /// <summary>People know the dashboard's address; gRPC is on another port, which that address tells.</summary>
    private static async Task<string> AddressFrom(string server, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(server, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            throw new RefusalException($"--server {server} is not an address.", "Write it as http://host:port, as the dashboard is opened.", ExitCode.Usage);
        }
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
        try
        {
            var control = await http.GetFromJsonAsync(new Uri(url, "/control-plane.json"), ControlFileJson.Default.ControlFile, cancellation);
            if (control is null)
            {
                throw new JsonException("empty answer");
            }
            // Bound to a loopback or wildcard address there, it is reached here by the name that was given.
            return new UriBuilder(control.Grpc) { Host = url.Host }.Uri.GetLeftPart(UriPartial.Authority);
        }
        catch (Exception e) when (e is HttpRequestException or JsonException || (e is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new RefusalException($"No control plane answers at {server}.", "Check the address, and that `dsops dev` or `dsops serve` runs there.",
                ExitCode.NotReachable, e);
        }
    }
}
