using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>
/// Looks at files that people name: one at a time, on a thread of its own, so that no request's thread ever waits for a disk. A network
/// mount that hangs never returns, and its thread cannot be taken back: such a look is answered in words and left, and few are left so.
/// </summary>
public sealed class FileLooks(TimeProvider clock) : IDisposable
{
    /// <summary>A disk answers in milliseconds, a busy network mount within a second; a person waits for two.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Threads that may be lost to mounts that hang: a few, in the hope that not all files are on one.</summary>
    public const int HungMost = 4;

    private readonly SemaphoreSlim turn = new(1);
    private int hung;

    public void Dispose() => turn.Dispose();

    /// <param name="silent">The answer where a path did not answer.</param>
    public async Task<T> Run<T>(Func<T> look, Func<string, T> silent, CancellationToken cancellation)
    {
        await turn.WaitAsync(cancellation);
        try
        {
            return Volatile.Read(ref hung) < HungMost ? await Begin(look, silent) : silent("");
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>What to say of a path that did not answer; empty where too many did not.</summary>
    public static (string Message, string Fix) Silence(string path) =>
        (path.Length == 0 ? $"{HungMost} files that were looked at before do not answer, so no further one is looked at."
            : $"'{path}' has not answered for {Patience.TotalSeconds:0} s: its disk or network mount hangs.",
            "Look after the mount, then try again.");

    /// <summary>The text of a file, whatever it is that was named.</summary>
    /// <exception cref="IOException">It cannot be read, or does not answer.</exception>
    public static async Task<string> ReadText(string path, int most, CancellationToken cancellation) =>
        await new FileLooks(TimeProvider.System).Run<string?>(() => NamedFile.ReadText(path, most), _ => null, cancellation)
            ?? throw new IOException(Silence(path).Message);

    private async Task<T> Begin<T>(Func<T> look, Func<string, T> silent)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        string waitedFor = "";
        bool left = false;
        var gate = new Lock();
        using var timer = clock.CreateTimer(_ =>
        {
            lock (gate)
            {
                if (waitedFor.Length > 0 && answer.TrySetResult(silent(waitedFor)))
                {
                    left = true;
                    Interlocked.Increment(ref hung);
                }
            }
        }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        void Told(string? path)
        {
            lock (gate)
            {
                waitedFor = path ?? "";
                if (!left)
                {
                    timer.Change(path is null ? Timeout.InfiniteTimeSpan : Patience, Timeout.InfiniteTimeSpan);
                }
            }
        }
        void Look()
        {
            try
            {
                answer.TrySetResult(FileWait.Tell(Told, look));
            }
            catch (Exception e)
            {
                // The outermost frame of the thread catches all: who asked gets what was thrown.
                answer.TrySetException(e);
            }
            lock (gate)
            {
                if (left)
                {
                    Interlocked.Decrement(ref hung);
                }
            }
        }
        new Thread(Look) { IsBackground = true, Name = "file look" }.Start();
        return await answer.Task;
    }
}
