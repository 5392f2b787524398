using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Spikes;

/// <summary>Level and spread of the newest losses.</summary>
internal sealed class LossWindow
{
    private const double OneDeviation = 0.68;

    private readonly SortedWindow level = new(SpikeRule.LevelOver);
    private readonly SortedWindow distances = new(SpikeRule.SpreadOver);
    private readonly LossSeen[] ring = new LossSeen[SpikeRule.SpreadOver];
    private int first;
    private int count;

    public LossWindow(ImmutableArray<LossSeen> from)
    {
        foreach (var seen in from.Length > ring.Length ? from[^ring.Length..] : from)
        {
            Append(seen);
        }

        FillLevel();
    }

    public ImmutableArray<LossSeen> Entries => [.. Enumerable.Range(0, count).Select(i => At(i))];

    /// <summary>Null: too few losses yet.</summary>
    public double? Level => level.Count >= SpikeRule.LevelFrom ? level.Median : null;

    /// <summary>Null: too few losses yet.</summary>
    public double? Spread => distances.Count >= SpikeRule.SpreadFrom ? distances.Quantile(OneDeviation) : null;

    public void Add(long step, double loss)
    {
        Append(new LossSeen(step, loss, Level is { } now ? Math.Abs(loss - now) : null));
        if (level.Count == SpikeRule.LevelOver)
        {
            level.Replace(At(count - 1 - SpikeRule.LevelOver).Loss!.Value, loss);
        }
        else
        {
            level.Add(loss);
        }
    }

    /// <summary>
    /// Takes back what was at or after a step. Where that leaves too little to judge by, the spread stays, which changes slowly, and only
    /// the level is learnt anew.
    /// </summary>
    public void GoBack(long to)
    {
        int left = count;
        while (left > 0 && At(left - 1).Step >= to)
        {
            left--;
        }

        if (left >= SpikeRule.SpreadFrom + SpikeRule.LevelFrom)
        {
            for (; count > left; count--)
            {
                Forget(At(count - 1));
            }
        }
        else
        {
            for (int i = 0; i < count; i++)
            {
                // Steps are said to be before it, so that going back once more finds what is learnt from here.
                ring[(first + i) % ring.Length] = At(i) with { Loss = null, Step = Math.Min(At(i).Step, to - 1) };
            }
        }

        FillLevel();
    }

    public void Clear()
    {
        (first, count) = (0, 0);
        level.Clear();
        distances.Clear();
    }

    private LossSeen At(int i) => ring[(first + i) % ring.Length];

    private void Append(LossSeen seen)
    {
        if (count < ring.Length)
        {
            ring[(first + count) % ring.Length] = seen;
            count++;
            if (seen.Distance is { } distance)
            {
                distances.Add(distance);
            }

            return;
        }

        var oldest = ring[first];
        ring[first] = seen;
        first = (first + 1) % ring.Length;
        if (oldest.Distance is { } old && seen.Distance is { } next)
        {
            distances.Replace(old, next);
            return;
        }

        Forget(oldest);
        if (seen.Distance is { } added)
        {
            distances.Add(added);
        }
    }

    private void Forget(LossSeen seen)
    {
        if (seen.Distance is { } distance)
        {
            distances.Remove(distance);
        }
    }

    private void FillLevel()
    {
        level.Clear();
        for (int i = count - 1; i >= 0 && level.Count < SpikeRule.LevelOver && At(i).Loss is { } loss; i--)
        {
            level.Add(loss);
        }
    }
}
