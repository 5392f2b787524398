using System.Net;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// The port for monitoring while a control plane waits for its turn: it lives, and is not ready, and says for whom it waits. Gone before
/// the control plane itself listens there.
/// </summary>
internal sealed class WaitingPort : IAsyncDisposable
{
    private readonly WebApplication? app;
    private volatile string waitsFor = "It starts, and asks whose turn it is.";

    private WaitingPort(IPEndPoint? at, TlsDoors doors)
    {
        if (at is null)
        {
            return;
        }

        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(at, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                doors.Monitors(listen, at);
            });
        });
        app = builder.Build();
        app.Run(Answer);
    }

    /// <summary>Told to who asks, without the host and folder that are in the database's name of it.</summary>
    public string WaitsFor
    {
        set => waitsFor = value;
    }

    /// <param name="at">Null: nobody asked for such a port.</param>
    public static async Task<WaitingPort> Open(IPEndPoint? at, TlsDoors doors, CancellationToken cancellation)
    {
        var port = new WaitingPort(at, doors);
        if (port.app is not null)
        {
            await port.app.StartAsync(cancellation);
        }

        return port;
    }

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
        {
            await app.StopAsync();
            await app.DisposeAsync();
        }
    }

    private Task Answer(HttpContext context)
    {
        bool lives = context.Request.Path == "/livez";
        context.Response.StatusCode = lives ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(lives ? "ok\n" : $"not ready\nprocess: {waitsFor}\n", context.RequestAborted);
    }
}
