using System.Net;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// Where the process listens: on loopback, and for agents of other machines where it is told to. Without TLS, gRPC cannot share a port with
/// pages: one speaks HTTP/2 from the first byte, the other HTTP/1.1.
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
            Agents = options.Agents, Silo = options.Silo, Monitoring = options.Monitoring,
        };
    }

    public void Listen(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        kestrel.Listen(IPAddress.Loopback, HttpPort, listen => listen.Protocols = HttpProtocols.Http1);
        kestrel.Listen(IPAddress.Loopback, GrpcPort, listen => listen.Protocols = HttpProtocols.Http2);
        if (Agents is { } agents)
        {
            kestrel.Listen(agents, listen => listen.Protocols = HttpProtocols.Http2);
        }

        if (Monitoring is { } monitoring)
        {
            kestrel.Listen(monitoring, listen => listen.Protocols = HttpProtocols.Http1);
        }
    }
}
