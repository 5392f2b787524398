using System.Collections.Concurrent;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// The one thread that starts processes, alive as long as the agent. A rank asks the kernel to be killed with the thread that started
/// it; threads of the pool come and go, and a rank started by one of those would die with it after some idle seconds.
/// </summary>
internal sealed class SpawnThread : IDisposable
{
    private readonly BlockingCollection<Action> _work = [];

    public SpawnThread()
    {
        var thread = new Thread(() =>
        {
            foreach (var work in _work.GetConsumingEnumerable())
            {
                work();
            }
        })
        { IsBackground = true, Name = "spawn" };
        thread.Start();
    }

    public Task<T> Run<T>(Func<T> start)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(() =>
        {
            try
            {
                done.SetResult(start());
            }
            catch (System.ComponentModel.Win32Exception e)
            {
                done.SetException(e);
            }
        });
        return done.Task;
    }

    public void Dispose() => _work.CompleteAdding();
}
