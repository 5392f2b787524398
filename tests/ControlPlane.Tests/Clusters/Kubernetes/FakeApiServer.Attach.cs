using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>A pod's standard streams as the server carries them (v4.channel.k8s.io): one byte of channel before each message.</summary>
internal sealed partial class FakeApiServer
{
    private const byte Stdin = 0, Stdout = 1, Stderr = 2;

    /// <summary>What a pod becomes as it is made, as a kubelet would say.</summary>
    public Action<JsonObject>? Kubelet { get; set; }

    /// <summary>What the program of an attached pod answers to a line: "!" before one for stderr. Null: its streams end.</summary>
    public Func<string, string[]?>? Program { get; set; }

    /// <summary>Names of pods whose streams ended at our side or at the client's.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<string> Detached { get; } = new();

    private async Task Attach(HttpContext context, string name)
    {
        if (!context.WebSockets.IsWebSocketRequest || context.Request.Query["stdin"] is not (["true"] or ["1"]))
        {
            await Status(context, 400, "you must attach with a stream of stdin");
            return;
        }

        using var socket = await context.WebSockets.AcceptWebSocketAsync("v4.channel.k8s.io");
        var said = new StringBuilder();
        byte[] buffer = new byte[64 << 10];
        try
        {
            while (await socket.ReceiveAsync(buffer, context.RequestAborted) is { MessageType: not WebSocketMessageType.Close } got)
            {
                if (got.Count > 1 && buffer[0] == Stdin)
                {
                    said.Append(Encoding.UTF8.GetString(buffer.AsSpan(1, got.Count - 1)));
                }

                while (said.ToString().IndexOf('\n', StringComparison.Ordinal) is >= 0 and var end)
                {
                    string line = said.ToString()[..end];
                    said.Remove(0, end + 1);
                    if (Program!(line) is not { } answers)
                    {
                        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", context.RequestAborted);
                        return;
                    }

                    foreach (string answer in answers)
                    {
                        bool complains = answer.StartsWith('!');
                        byte[] frame = [complains ? Stderr : Stdout, .. Encoding.UTF8.GetBytes(answer.TrimStart('!') + "\n")];
                        await socket.SendAsync(frame, WebSocketMessageType.Binary, endOfMessage: true, context.RequestAborted);
                    }
                }
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException)
        {
            // The client went away without a word, as one that is killed does.
        }
        finally
        {
            Detached.Enqueue(name);
        }
    }
}
