using System.Diagnostics;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>What a rank did from one moment to another; spans of one rank lie within each other or apart.</summary>
/// <param name="Kind">
/// "forward", "backward", "backward_inputs", "backward_weights", "update", "collective", "send", "receive", "step".
/// </param>
/// <param name="Name">What of that kind, in words.</param>
/// <param name="Began">In nanoseconds of a clock that all processes of a machine share (CLOCK_MONOTONIC).</param>
public readonly record struct Span(string Kind, string Name, long Began, long Ended);

/// <summary>
/// Notes what this rank does while it is on. On a GPU each span waits until the GPU has done what was asked of it: the spans are true, and
/// a traced step is slower than others and shows nothing that would overlap within its rank.
/// </summary>
/// <param name="wait">Until what was queued is done; nothing on a CPU.</param>
public sealed class StepTrace(Action wait)
{
    /// <summary>For whoever traces nothing.</summary>
    public static StepTrace Off { get; } = new(() => { });

    private readonly List<Span> _spans = [];
    private volatile bool _on;

    /// <summary>In the order in which they ended.</summary>
    public IReadOnlyList<Span> Spans => _spans;

    public void Begin() => _on = true;

    public void End() => _on = false;

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
        _spans.Add(new Span(kind, name, began, Now()));
        return result;
    }

    private static long Now() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
}
