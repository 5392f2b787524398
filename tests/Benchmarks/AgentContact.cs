using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using Grpc.Core;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// One scripted agent's line to the control plane, as the worker's: one call at a time, each with a deadline; after one that failed it
/// registers before anything else, later each time. Lines of its ranks go between two beats.
/// </summary>
internal sealed class AgentContact(ScriptedGang gang, Agent agent, int pid, string token, Calls calls)
{
    private const int Protocol = 1;

    // These four as Worker/Agent/ControlPlaneContact.cs has them.
    private static readonly TimeSpan CallTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan BeatEvery = TimeSpan.FromSeconds(1);

    private readonly Metadata headers = new() { { "authorization", $"Bearer {token}" } };
    private readonly Stopwatch lastContact = Stopwatch.StartNew();
    private TimeSpan pause = FirstPause;
    private bool registered;

    public async Task Run(CancellationToken ending)
    {
        // Whoever begins together does not beat together.
        await Wait(TimeSpan.FromMilliseconds(1000 * (pid % 97) / 97), ending);
        while (!ending.IsCancellationRequested && agent.Order is not Order.KindOneofCase.Stop)
        {
            if (!EndToEnd.Tests.Dsops.IsAlive(pid))
            {
                gang.Ended.Enqueue($"{agent.Node}: its process was ended");
                return;
            }

            var watch = Stopwatch.StartNew();
            var next = await Call(ending);
            while (registered && watch.Elapsed < next && gang.With(() => agent.Lines()) is { } batch && await Send(batch, ending))
            {
            }

            await Wait(next - watch.Elapsed, ending);
        }
    }

    /// <returns>When the next one is due, from the begin of this one.</returns>
    private async Task<TimeSpan> Call(CancellationToken ending)
    {
        var watch = Stopwatch.StartNew();
        try
        {
            WorkerReply reply;
            if (registered)
            {
                var beat = gang.Beat(agent);
                reply = await calls.Time("agents: Heartbeat", () => Ask(c => c.HeartbeatAsync(beat, How(ending))));
            }
            else
            {
                var request = gang.With(() => agent.Register(Protocol, lastContact.Elapsed));
                reply = await calls.Time("agents: Register", () => Ask(c => c.RegisterAsync(request, How(ending))));
            }

            registered = true;
            pause = FirstPause;
            lastContact.Restart();
            gang.Obey(agent, reply);
            return reply.BeatEvery?.ToTimeSpan() ?? BeatEvery;
        }
        catch (RpcException)
        {
            registered = false;
            var after = watch.Elapsed + pause;
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            return after;
        }
    }

    /// <returns>False: they are sent again later.</returns>
    private async Task<bool> Send(LogBatch batch, CancellationToken ending)
    {
        try
        {
            await calls.Time("agents: ReportLogs", () => Ask(c => c.ReportLogsAsync(batch, How(ending))));
            gang.With(() => agent.Stored(batch));
            return true;
        }
        catch (RpcException)
        {
            return false;
        }
    }

    private async Task<WorkerReply> Ask(Func<WorkerService.WorkerServiceClient, AsyncUnaryCall<WorkerReply>> call)
    {
        if (gang.IsParted(agent.Node))
        {
            // What is sent into a parted network gets no answer, not even a refusal.
            await Task.Delay(CallTime);
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, "the network is parted"));
        }

        return await call(gang.Client());
    }

    private CallOptions How(CancellationToken ending) => new(headers, TimeProvider.System.GetUtcNow().UtcDateTime + CallTime, ending);

    private static async Task Wait(TimeSpan time, CancellationToken ending)
    {
        if (time > TimeSpan.Zero)
        {
            await Task.Delay(time, ending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
