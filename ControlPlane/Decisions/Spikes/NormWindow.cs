using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Spikes;

/// <summary>The newest gradient norms, and whether they are far above their median.</summary>
internal sealed class NormWindow
{
    private readonly SortedWindow sorted = new(SpikeRule.SpreadOver);
    private readonly Queue<NormSeen> queue;

    public NormWindow(ImmutableArray<NormSeen> from, bool steep, bool told)
    {
        queue = new Queue<NormSeen>(from.Length > SpikeRule.SpreadOver ? from[^SpikeRule.SpreadOver..] : from);
        foreach (var seen in queue)
        {
            sorted.Add(seen.Norm);
        }

        (Steep, Told) = (steep, told);
    }

    public ImmutableArray<NormSeen> Entries => [.. queue];

    /// <summary>The newest was high.</summary>
    public bool Steep { get; private set; }

    /// <summary>The newest was flagged.</summary>
    public bool Told { get; private set; }

    /// <returns>Why the norm is flagged; null: it is not.</returns>
    public string? Take(long step, double? norm)
    {
        if (norm is not { } value)
        {
            return null;
        }

        if (!double.IsFinite(value))
        {
            bool first = !Told;
            (Steep, Told) = (true, true);
            return first ? $"the gradient norm of step {step} is {(double.IsNaN(value) ? "NaN" : "infinite")}" : null;
        }

        double? median = sorted.Count >= SpikeRule.SpreadFrom ? sorted.Median : null;
        bool high = median > 0 && value > SpikeRule.GradientAt * median;
        string? reason = high && Steep && !Told
            ? string.Create(CultureInfo.InvariantCulture,
                $"the gradient norm of step {step} is {value:G4}, {value / median!.Value:G3} times its median, the second time in a row")
            : null;
        (Steep, Told) = (high, high && (Told || reason is not null));
        Add(new NormSeen(step, value));
        return reason;
    }

    public void GoBack(long to)
    {
        var kept = queue.Where(seen => seen.Step < to).ToList();
        if (kept.Count < queue.Count)
        {
            Clear();
            kept.ForEach(Add);
        }
    }

    public void Clear()
    {
        queue.Clear();
        sorted.Clear();
        (Steep, Told) = (false, false);
    }

    private void Add(NormSeen seen)
    {
        if (queue.Count == SpikeRule.SpreadOver)
        {
            sorted.Replace(queue.Dequeue().Norm, seen.Norm);
        }
        else
        {
            sorted.Add(seen.Norm);
        }

        queue.Enqueue(seen);
    }
}
