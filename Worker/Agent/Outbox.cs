namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// Things told to the control plane until it says that it has them. Each beat carries the oldest of what is not acknowledged, so a lost
/// beat, a lost reply or a control plane that forgot the newest minutes costs a repeat and never a gap.
/// </summary>
public sealed class Outbox<T>
{
    private readonly List<(T Item, long CarriedBy)> _items = [];

    public int Count => _items.Count;

    public T? Oldest => _items.Count > 0 ? _items[0].Item : default;

    public void Add(T item) => _items.Add((item, long.MaxValue));

    /// <summary>The oldest items, for the beat of this sequence.</summary>
    public IEnumerable<T> Take(long sequence, int most)
    {
        int count = Math.Min(most, _items.Count);
        for (int i = 0; i < count; i++)
        {
            _items[i] = _items[i] with { CarriedBy = Math.Min(_items[i].CarriedBy, sequence) };
        }

        return _items.Take(count).Select(i => i.Item).ToList();
    }

    /// <summary>Forgets what beats up to this sequence carried.</summary>
    public void Acknowledge(long sequence)
    {
        int taken = 0;
        while (taken < _items.Count && _items[taken].CarriedBy <= sequence)
        {
            taken++;
        }

        _items.RemoveRange(0, taken);
    }

    public void RemoveOldest(int count) => _items.RemoveRange(0, count);

    /// <summary>Leaves out every second item, evenly over the whole of it; the newest stays.</summary>
    public void Thin()
    {
        var kept = _items.Where((_, i) => (_items.Count - 1 - i) % 2 == 0).ToList();
        _items.Clear();
        _items.AddRange(kept);
    }
}
