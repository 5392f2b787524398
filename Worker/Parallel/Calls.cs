using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// Numbers a rank's collective calls over all of its groups: ranks of a gang that are at the same point have the same number, and the one
/// that is behind is the one that the others wait for.
/// </summary>
public sealed class Calls
{
    private readonly Lock _ending = new();
    private readonly List<Action> _whenAborted = [];
    private long _made;
    private volatile string? _aborted;
    private PeerLostException? _lost;

    public long Made => Interlocked.Read(ref _made);

    /// <summary>Why no call is waited for any more; null: they are.</summary>
    public string? Aborted => _aborted;

    /// <exception cref="CollectiveAbortedException">No further call is to be waited for.</exception>
    /// <exception cref="PeerLostException">The same, because a rank is gone.</exception>
    public void Next()
    {
        ThrowIfAborted();
        Interlocked.Increment(ref _made);
    }

    /// <exception cref="CollectiveAbortedException">No further call is to be waited for.</exception>
    /// <exception cref="PeerLostException">The same, because a rank is gone.</exception>
    public void ThrowIfAborted()
    {
        if (_aborted is { } reason)
        {
            throw _lost is { } lost ? new PeerLostException(lost.Rank, lost.What, lost) : new CollectiveAbortedException(reason);
        }
    }

    /// <summary>As <see cref="Abort"/>, because a rank is gone: calls end with <see cref="PeerLostException"/>.</summary>
    /// <param name="rank">In the gang.</param>
    public void Lose(int rank, string what)
    {
        lock (_ending)
        {
            if (_aborted is null)
            {
                _lost = new PeerLostException(rank, what);
            }
        }
        Abort($"rank {rank} {what}");
    }

    /// <summary>From any thread: the call that waits, and each one after it, ends with <see cref="CollectiveAbortedException"/>.</summary>
    public void Abort(string reason)
    {
        lock (_ending)
        {
            _aborted ??= reason;
            _whenAborted.ForEach(wake => wake());
        }
    }

    /// <summary>What wakes a call that waits; called at once where the calls are aborted already.</summary>
    public void WhenAborted(Action wake)
    {
        lock (_ending)
        {
            _whenAborted.Add(wake);
            if (_aborted is not null)
            {
                wake();
            }
        }
    }
}

/// <summary>Somebody ended the collective calls of this rank.</summary>
public sealed class CollectiveAbortedException(string reason) : OperationCanceledException($"Collective calls were ended: {reason}");
