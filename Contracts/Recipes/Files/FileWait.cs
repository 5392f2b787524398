namespace DeepSeekOps.Recipes.Files;

/// <summary>
/// Tells who wants to know when a thread begins to wait for a disk or network, and when it is back: a mount that hangs does not return,
/// and only another thread can say so.
/// </summary>
public static class FileWait
{
    [ThreadStatic]
    private static Action<string?>? _told;

    /// <summary>Runs on this thread. <paramref name="told"/> gets the path that is waited for, and null when the wait is over.</summary>
    public static T Tell<T>(Action<string?> told, Func<T> work)
    {
        var before = _told;
        _told = told;
        try
        {
            return work();
        }
        finally
        {
            _told = before;
        }
    }

    /// <summary>Work that may wait for this path.</summary>
    public static T While<T>(string path, Func<T> work)
    {
        using var waiting = At(path);
        return work();
    }

    internal static Waiting At(string path)
    {
        _told?.Invoke(path);
        return new Waiting(_told);
    }

    internal readonly ref struct Waiting(Action<string?>? told)
    {
        public void Dispose() => told?.Invoke(null);
    }
}
