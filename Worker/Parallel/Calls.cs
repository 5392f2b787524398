namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// Numbers a rank's collective calls over all of its groups: ranks of a gang that are at the same point have the same number, and the one
/// that is behind is the one that the others wait for.
/// </summary>
public sealed class Calls
{
    private long _made;
    private volatile string? _aborted;

    public long Made => Interlocked.Read(ref _made);

    /// <exception cref="CollectiveAbortedException">No further call is to be waited for.</exception>
    public void Next()
    {
        if (_aborted is { } reason)
        {
            throw new CollectiveAbortedException(reason);
        }
        Interlocked.Increment(ref _made);
    }

    /// <summary>From any thread: the call that waits, and each one after it, ends with <see cref="CollectiveAbortedException"/>.</summary>
    public void Abort(string reason) => _aborted ??= reason;
}

/// <summary>Somebody ended the collective calls of this rank.</summary>
public sealed class CollectiveAbortedException(string reason) : OperationCanceledException($"Collective calls were ended: {reason}");
