using System.Diagnostics;
using DeepSeekOps.Worker.Parallel.Sockets;

namespace DeepSeekOps.Worker.Parallel.Nccl;

/// <summary>
/// Looks after calls that wait on a GPU, where nothing on the host would notice: that a neighbouring rank is gone, told by its connection,
/// and that NCCL found something wrong. Either ends the calls, so that kernels leave and the host's wait for them is over.
/// </summary>
internal sealed class NcclWatch : IDisposable
{
    private const int LookMilliseconds = 100;

    /// <summary>NCCL says only that something is wrong; which rank is gone, its connection or the agent tells by then.</summary>
    private static readonly TimeSpan WhoFirst = TimeSpan.FromSeconds(2);

    private readonly IReadOnlyList<PeerLink> _beside;
    private readonly NcclCommunicator[] _communicators;
    private readonly Calls _calls;
    private readonly Thread _thread;
    private volatile bool _ending;

    public NcclWatch(IReadOnlyList<PeerLink> beside, NcclCommunicator[] communicators, Calls calls)
    {
        (_beside, _communicators, _calls) = (beside, communicators, calls);
        _thread = new Thread(Watch) { IsBackground = true, Name = "watches NCCL" };
        _thread.Start();
    }

    public void Dispose()
    {
        _ending = true;
        _thread.Join();
        foreach (var link in _beside)
        {
            link.Dispose();
        }
    }

    private void Watch()
    {
        long? broken = null;
        while (!_ending && _calls.Aborted is null)
        {
            if (Exchange.HungUp(_beside, LookMilliseconds) is { } gone)
            {
                if (!_ending)
                {
                    _calls.Lose(gone.Rank, "closed its connection");
                }
                return;
            }
            if (_communicators.Select(c => c.Failure()).FirstOrDefault(f => f is not null) is not { } failure)
            {
                continue;
            }
            broken ??= Stopwatch.GetTimestamp();
            if (Stopwatch.GetElapsedTime(broken.Value) > WhoFirst)
            {
                _calls.Abort($"NCCL: {failure}");
            }
        }
    }
}
