using System.Collections.Immutable;
using System.Net;
using DeepSeekOps.ControlPlane.Api.People.Oidc;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Hosting.Tls;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>What `dsops dev` and `dsops serve` were asked for.</summary>
public sealed record ControlPlaneOptions
{
    public const int UsualPort = 5080;

    /// <summary>Full path of the folder that everything is kept in. Default: .dsops.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Port of the pages and REST; 0 takes a free one. Default: <see cref="UsualPort"/>, or a free one if that is taken.</summary>
    public int? Port { get; init; }

    /// <summary>Port of gRPC. Default: a free one.</summary>
    public int? GrpcPort { get; init; }

    /// <summary>Address where agents on other machines report. Default: none; agents on this one use gRPC's port.</summary>
    public IPEndPoint? Agents { get; init; }

    /// <summary>A PostgreSQL connection. Default: SQLite in the data directory.</summary>
    public string? Database { get; init; }

    /// <summary>Give the data directory to this database, although it belongs to another one. Default: such a start is refused.</summary>
    public bool Rebind { get; init; }

    /// <summary>
    /// Wait while another control plane has the database, and go on in its place when it ends or hangs. Default: such a start is refused.
    /// </summary>
    public bool Deputy { get; init; }

    /// <summary>
    /// Be one of several that work at the same time on one PostgreSQL database; the others reach this one here. Default: it works alone.
    /// </summary>
    public IPEndPoint? Silo { get; init; }

    /// <summary>Where metrics and probes are answered to other machines. Default: on the dashboard's port alone.</summary>
    public IPEndPoint? Monitoring { get; init; }

    /// <summary>Where people, REST and gRPC are answered to other machines, by TLS. Default: on this machine alone.</summary>
    public IPEndPoint? Https { get; init; }

    /// <summary>Addresses by which people open <see cref="Https"/>. Default: none; it needs one.</summary>
    public ImmutableArray<Uri> PublicUrls { get; init; } = [];

    /// <summary>What <see cref="Https"/> shows, and the port for monitoring. Default: none; the former needs it.</summary>
    public PemFiles? Certificate { get; init; }

    /// <summary>By whom people sign in. Default: nobody; they show API tokens.</summary>
    internal OidcSettings? Oidc { get; init; }

    /// <summary>The key of all control planes that stand in for each other. Default: dsops.key in the data directory.</summary>
    public string? KeyFile { get; init; }

    /// <summary>What runs the workers, with its own options.</summary>
    public required ClusterChoice Cluster { get; init; }

    /// <summary>File with quotas, groups, spares and maintenance. Default: none of them.</summary>
    public string? ClusterSettings { get; init; }

    /// <summary>A pipeline file to submit when all is up.</summary>
    public string? Submit { get; init; }

    /// <summary>Data files in place of those that <see cref="Submit"/> names.</summary>
    public string? Data { get; init; }

    /// <summary>Print the timeline of all runs on the terminal. Otherwise the log goes there.</summary>
    public bool Timeline { get; init; }
}
