namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>
/// One look for all who ask at the same time. Who asks while one is under way is given the next, with all others who came meanwhile: an
/// answer is never older than its question, and however many ask, one looks.
/// </summary>
internal sealed class SharedLook<T>(Func<Task<T>> look, TimeProvider clock)
    where T : class
{
    private readonly Lock _gate = new();
    private Task<T>? _running, _next;
    private (T Seen, long At)? _last;

    /// <summary>What is seen from now on.</summary>
    public Task<T> Now()
    {
        lock (_gate)
        {
            return _running is { IsCompleted: false } running ? _next ??= After(running) : Begin();
        }
    }

    /// <summary>For who looks again and again: what was seen this lately, or is being seen.</summary>
    public Task<T> Lately(TimeSpan age)
    {
        lock (_gate)
        {
            return _running is { IsCompleted: false } running ? running
                : _last is var (seen, at) && clock.GetElapsedTime(at) < age ? Task.FromResult(seen) : Begin();
        }
    }

    private Task<T> Begin() => _running = Look();

    private async Task<T> After(Task<T> running)
    {
        await running.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        Task<T> begun;
        lock (_gate)
        {
            _next = null;
            begun = Begin();
        }
        return await begun;
    }

    private async Task<T> Look()
    {
        // Nobody's caller is kept, and nothing of the look runs under the lock.
        await Task.Yield();
        long at = clock.GetTimestamp();
        var seen = await look();
        lock (_gate)
        {
            _last = (seen, at);
        }
        return seen;
    }
}
