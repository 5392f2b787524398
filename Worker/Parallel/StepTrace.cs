using System.Diagnostics;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>
/// Notes what this rank does while it is on. On a GPU each span waits until the GPU has done what was asked of it: the spans are true, and
/// a traced step is slower than others and shows nothing that would overlap within its rank.
/// </summary>
/// <param name="wait">Until what was queued is done; nothing on a CPU.</param>
public sealed class StepTrace(Action wait)
{
    /// <summary>For whoever traces nothing.</summary>
    public static StepTrace Off { get; } = new(() => { });

    // What a backward pass calls may come from a thread of libtorch's.
    private readonly Lock _writing = new();
    private List<Span> _spans = [];
    private volatile bool _on;

    public bool IsOn => _on;

    /// <summary>In the order in which they ended.</summary>
    public IReadOnlyList<Span> Spans => _spans;

    public void Begin() => _on = true;

    public void End() => _on = false;

    /// <summary>Ends it, and forgets what it hands over.</summary>
    public IReadOnlyList<Span> Take()
    {
        End();
        lock (_writing)
        {
            var taken = _spans;
            _spans = [];
            return taken;
        }
    }

    public void Of(string kind, string name, Action work) => Of(kind, name, () =>
    {
        work();
        return true;
    });

    public T Of<T>(string kind, string name, Func<T> work)
    {
        if (!_on)
        {
            return work();
        }
        wait();
        var began = Now();
        var result = work();
        wait();
        Note(kind, name, began);
        return result;
    }

    /// <summary>From that moment until now.</summary>
    public void Note(string kind, string name, long began)
    {
        lock (_writing)
        {
            _spans.Add(new Span(kind, name, began, Now()));
        }
    }

    /// <summary>Nanoseconds of a clock that all processes of a machine share (CLOCK_MONOTONIC).</summary>
    public static long Now() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
}
