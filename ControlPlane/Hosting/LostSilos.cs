using System.Globalization;
using System.Net.Sockets;
using DeepSeekOps.ControlPlane.Storage;
using Orleans.Runtime;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// Calls silos dead by what the database knows of them, which a busy machine does not blur as it does the answers to Orleans' probes: one
/// that has ended has no session there, and at its port nobody listens; one that hangs, or whose machine died, has a session that says
/// nothing any more. A silo that is cut off from the database is among these: it could do nothing for its runs.
/// </summary>
internal sealed partial class LostSilos(
    PostgresHold hold, IClusterMembershipService silos, ILocalSiloDetails us, TimeProvider clock, ILogger<LostSilos> log)
    : BackgroundService
{
    private static readonly TimeSpan ConnectWithin = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Ours: a port is refused for a moment while a backlog is full, and after a database that stood still all seem silent until their
    /// next word; neither is so at two looks.
    /// </summary>
    private const int SeenTimes = 2;

    private readonly Dictionary<SiloAddress, int> seen = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(PostgresHold.WordEvery, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await Look(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    private async Task Look(CancellationToken cancellation)
    {
        var others = silos.CurrentSnapshot.Members.Values.Where(m => m.Status == SiloStatus.Active).Select(m => m.SiloAddress)
            .Where(s => !s.Equals(us.SiloAddress)).ToDictionary(s => s.ToParsableString());
        foreach (var gone in seen.Keys.Except(others.Values).ToList())
        {
            seen.Remove(gone);
        }

        var silences = others.Count == 0 ? new Dictionary<string, TimeSpan?>() : await hold.Silences(others.Keys, cancellation);
        foreach (var (name, silo) in others)
        {
            string? why = silences.TryGetValue(name, out var silence) ? await Why(silo, silence, cancellation) : null;
            seen[silo] = why is null ? 0 : seen.GetValueOrDefault(silo) + 1;
            // One that stood still itself knows nothing.
            if (why is not null && seen[silo] >= SeenTimes && hold.Speaks)
            {
                LogLost(silo, why);
                await silos.TryKill(silo);
            }
        }
    }

    /// <summary>Null: it works, as far as can be told.</summary>
    private static async Task<string?> Why(SiloAddress silo, TimeSpan? silence, CancellationToken cancellation) => silence switch
    {
        null when await Refuses(silo, cancellation) => "its process has ended: PostgreSQL has no session of it, and its port refuses",
        { } since when since >= PostgresHold.LostAfter => string.Create(CultureInfo.InvariantCulture,
            $"it has said nothing to PostgreSQL for {since.TotalSeconds:0.0} s"),
        _ => null,
    };

    private static async Task<bool> Refuses(SiloAddress silo, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(ConnectWithin);
        using var socket = new Socket(silo.Endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(silo.Endpoint, limit.Token);
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.ConnectionRefused;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Silo {Silo} is called dead: {Why}")]
    private partial void LogLost(SiloAddress silo, string why);
}
