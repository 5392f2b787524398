using System.Numerics;

namespace DeepSeekOps.Decisions.Spikes;

/// <summary>Up to so many finite numbers in order. A hundred are moved as a block faster than a tree is balanced.</summary>
internal sealed class SortedWindow(int most)
{
    private readonly double[] values = new double[most];

    public int Count { get; private set; }

    public double Median => Count % 2 == 1 ? values[Count / 2] : (values[(Count / 2) - 1] + values[Count / 2]) / 2;

    public void Add(double value)
    {
        int at = Place(value);
        Array.Copy(values, at, values, at + 1, Count - at);
        values[at] = value;
        Count++;
    }

    public void Remove(double value)
    {
        int at = Place(value);
        Count--;
        Array.Copy(values, at + 1, values, at, Count - at);
    }

    /// <summary>As to remove one and to add another, with what lies between the two moved only once.</summary>
    public void Replace(double old, double value)
    {
        int from = Place(old);
        int to = Place(value);
        if (to > from)
        {
            to--;
            Array.Copy(values, from + 1, values, from, to - from);
        }
        else
        {
            Array.Copy(values, to, values, to + 1, from - to);
        }

        values[to] = value;
    }

    public void Clear() => Count = 0;

    /// <summary>This part of the numbers is not above it.</summary>
    public double Quantile(double part) => values[(int)(part * (Count - 1))];

    /// <summary>All are compared, several at once: the branches of a search through noise are guessed wrong half the time.</summary>
    private int Place(double value)
    {
        var sought = new Vector<double>(value);
        var below = Vector<long>.Zero;
        int i = 0;
        for (; i <= Count - Vector<double>.Count; i += Vector<double>.Count)
        {
            below -= Vector.LessThan(new Vector<double>(values, i), sought);
        }

        int place = (int)Vector.Sum(below);
        for (; i < Count; i++)
        {
            place += values[i] < value ? 1 : 0;
        }

        return place;
    }
}
