using System.Text;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Pages.Try;

/// <summary>One text as it comes, with its figures. What is there stays until the next one begins.</summary>
public sealed class TextInTheMaking(OpsService.OpsServiceClient ops, Func<Task> changed) : IDisposable
{
    /// <summary>Above the control plane's own limit of two minutes, which ends a text in words.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);

    private readonly StringBuilder said = new();
    private CancellationTokenSource? stopping;

    public bool Making { get; private set; }

    /// <summary>Of the text that is shown; null: none was asked for.</summary>
    public GenerateRequest? Request { get; private set; }

    public GenerateReply? Last { get; private set; }

    public string? Trouble { get; private set; }

    public string Said => said.ToString();

    /// <summary>"end-mark", "max-tokens", "time-limit", or "stopped" by the person; empty while it is made and where it failed.</summary>
    public string Ended { get; private set; } = "";

    public async Task Make(GenerateRequest request)
    {
        using var mine = stopping = new CancellationTokenSource();
        var stop = mine.Token;
        (Request, Last, Trouble, Making, Ended) = (request, null, null, true, "");
        said.Clear();
        try
        {
            using var call =
                ops.Generate(request, deadline: TimeProvider.System.GetUtcNow().UtcDateTime + Deadline, cancellationToken: stop);
            while (await call.ResponseStream.MoveNext(stop))
            {
                Last = call.ResponseStream.Current;
                said.Append(Last.Text);
                Ended = Last.Ended;
                await changed();
            }
        }
        catch (Exception stopped) when (stop.IsCancellationRequested
            && stopped is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            Ended = "stopped";
        }
        catch (RpcException fault)
        {
            Trouble = Faults.InWords(fault);
        }
        finally
        {
            (Making, stopping) = (false, null);
        }

        await changed();
    }

    public void Stop() => stopping?.Cancel();

    /// <summary>Who made it goes away: so does the text, and its source of stops with it.</summary>
    public void Dispose() => Stop();
}
