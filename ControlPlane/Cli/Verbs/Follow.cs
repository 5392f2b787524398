using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// A stream that outlives the control plane: when it goes away, its address is read again and the stream begins anew, for as long
/// as somebody may just be restarting it.
/// </summary>
internal static class Follow
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <param name="open">Begins the stream on a client; called again after each loss.</param>
    /// <param name="take">False ends it.</param>
    public static async Task Stream<T>(
        ParseResult parsed, Terminal terminal, Func<OpsService.OpsServiceClient, AsyncServerStreamingCall<T>> open,
        Func<T, bool> take, CancellationToken cancellation)
    {
        var lastContact = TimeProvider.System.GetTimestamp();
        bool lost = false;
        bool everSeen = false;
        while (true)
        {
            try
            {
                using var connection = await VerbAction.Connect(parsed, cancellation);
                using var call = open(connection.Client);
                while (await call.ResponseStream.MoveNext(cancellation))
                {
                    lastContact = TimeProvider.System.GetTimestamp();
                    everSeen = true;
                    lost = false;
                    if (!take(call.ResponseStream.Current))
                    {
                        return;
                    }
                }
                // The server ends a stream when it stops, or when there is nothing more to come.
                if (!await IsStopping(connection, cancellation))
                {
                    return;
                }
            }
            catch (Exception e) when (everSeen && IsLoss(e) && TimeProvider.System.GetElapsedTime(lastContact) < Patience)
            {
                if (!lost)
                {
                    lost = true;
                    await terminal.Error.WriteLineAsync(
                        "The control plane does not answer; waiting for it to return (training goes on without it).");
                }
            }
            await Task.Delay(Pause, cancellation);
        }
    }

    internal static bool IsLoss(Exception e) =>
        e is RefusalException { Code: ExitCode.NotReachable } or RpcException { StatusCode: StatusCode.Unavailable };

    private static async Task<bool> IsStopping(ControlPlaneConnection connection, CancellationToken cancellation)
    {
        try
        {
            await connection.Client.GetVersionAsync(new GetVersionRequest(), ControlPlaneConnection.Options(cancellation));
            return false;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Unavailable)
        {
            return true;
        }
    }
}
