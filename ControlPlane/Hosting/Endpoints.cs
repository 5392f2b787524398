using System.Collections.Immutable;
using System.Net;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// Where the process listens: on loopback in clear, and by TLS where it is told to be reached from other machines. Without TLS, gRPC cannot
/// share a port with pages: one speaks HTTP/2 from the first byte, the other HTTP/1.1.
/// </summary>
/// <param name="SiloPort">Part of the name of a silo that is alone; nothing listens there (<see cref="NoSiloPort"/>).</param>
public sealed record Endpoints(int HttpPort, int GrpcPort, int SiloPort)
{
    /// <summary>Where agents on other machines report, and nobody else is answered. Null: all agents are on this one.</summary>
    public IPEndPoint? Agents { get; init; }

    /// <summary>Where other silos, and nobody else, are answered (<see cref="Hosting.SiloPort"/>). Null: it is alone.</summary>
    public IPEndPoint? Silo { get; init; }

    /// <summary>
    /// Where metrics and probes, and nothing else, are answered to other machines. Null: nowhere but on <see cref="HttpPort"/>.
    /// </summary>
    public IPEndPoint? Monitoring { get; init; }

    /// <summary>Where people of other machines are answered, pages, REST and gRPC alike. Null: nobody is.</summary>
    public IPEndPoint? Https { get; init; }

    /// <summary>By what names <see cref="Https"/> is opened.</summary>
    public ImmutableArray<Uri> PublicUrls { get; init; } = [];

    /// <summary>What people are told to open.</summary>
    public string Pages => PublicUrls is [var first, ..] ? first.GetLeftPart(UriPartial.Authority) : Http;

    internal PublicDoor? Public => Https is null ? null
        : new PublicDoor(Https.Port, [.. PublicUrls.Select(url => url.IdnHost)]);

    public string Http => $"http://127.0.0.1:{HttpPort}";

    public string Grpc => $"http://127.0.0.1:{GrpcPort}";

    /// <summary>A page of the dashboard as a browser opens it that was not let in yet.</summary>
    internal string Open(AccessKey key, string page = "/") => $"{Http}{page}?code={key.PageCode}";

    internal ControlFile ToFile(AccessKey key) =>
        new(Environment.ProcessId, Http, Grpc, TimeProvider.System.GetUtcNow()) { Token = key.PeoplesToken, Open = Open(key) };

    internal static Endpoints Choose(ControlPlaneOptions options)
    {
        int http = LoopbackPort.Choose(options.Port, ControlPlaneOptions.UsualPort, "--port");
        int grpc = LoopbackPort.Choose(options.GrpcPort, usual: null, "--grpc-port");
        return new Endpoints(http, grpc, LoopbackPort.Free())
        {
            Agents = options.Agents, Silo = options.Silo, Monitoring = options.Monitoring, Https = options.Https,
            PublicUrls = options.PublicUrls,
        };
    }

    internal void Listen(KestrelServerOptions kestrel, TlsDoors doors)
    {
        kestrel.AddServerHeader = false;
        kestrel.Listen(IPAddress.Loopback, HttpPort, listen => listen.Protocols = HttpProtocols.Http1);
        kestrel.Listen(IPAddress.Loopback, GrpcPort, listen => listen.Protocols = HttpProtocols.Http2);
        if (Agents is { } agents)
        {
            kestrel.Listen(agents, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                doors.Agents(listen);
            });
        }

        if (Monitoring is { } monitoring)
        {
            kestrel.Listen(monitoring, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                doors.Monitors(listen, monitoring);
            });
        }

        if (Https is { } https)
        {
            // Both by one port: the handshake agrees on which.
            kestrel.Listen(https, listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                doors.People(listen);
            });
        }
    }
}
