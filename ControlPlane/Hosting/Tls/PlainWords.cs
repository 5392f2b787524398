using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DeepSeekOps.ControlPlane.Hosting.Tls;

/// <summary>Who speaks in clear to a port of TLS is told so, where a handshake that fails would say nothing.</summary>
internal static class PlainWords
{
    /// <summary>The first byte of a TLS record that begins a handshake; no method of HTTP begins so.</summary>
    private const byte Handshake = 0x16;

    /// <summary>As long as Kestrel waits for a handshake: who says nothing holds a connection no longer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private const string Words = "This port speaks TLS: write https:// in place of http://. What was sent to it in clear may have been "
        + "read along: make a new token if one was in it.\n";

    private static readonly byte[] Answer = Encoding.ASCII.GetBytes(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
        + $"Content-Length: {Words.Length}\r\nConnection: close\r\n\r\n{Words}");

    public static void UsePlainWords(this ListenOptions listen) => listen.Use(next => async connection =>
    {
        switch (await BeginsWithTls(connection))
        {
            case true:
                await next(connection);
                break;
            case false:
                await connection.Transport.Output.WriteAsync(Answer);
                break;
        }
    });

    /// <summary>Null: it says nothing.</summary>
    private static async Task<bool?> BeginsWithTls(ConnectionContext connection)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed);
        patience.CancelAfter(Patience);
        try
        {
            var read = await connection.Transport.Input.ReadAsync(patience.Token);
            bool? tls = read.Buffer.IsEmpty ? null : read.Buffer.FirstSpan[0] == Handshake;
            // Nothing is taken: the handshake reads it anew.
            connection.Transport.Input.AdvanceTo(read.Buffer.Start);
            return tls;
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            return null;
        }
    }
}
