using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>
/// Points of one series in order of steps, in columns. The body of a chunk is these columns, little-endian, one after the other.
/// </summary>
public sealed class SeriesPoints
{
    /// <summary>int64 step, float64 tokens, float64 unix seconds, float64 value.</summary>
    public const int BytesPerPoint = 4 * sizeof(double);

    public List<long> Step { get; } = [];

    public List<double> Tokens { get; } = [];

    public List<double> UnixSeconds { get; } = [];

    public List<double> Value { get; } = [];

    public int Count => Step.Count;

    public void Add(long step, double tokens, double unixSeconds, double value)
    {
        Step.Add(step);
        Tokens.Add(tokens);
        UnixSeconds.Add(unixSeconds);
        Value.Add(value);
    }

    /// <summary>At its place in the order of steps. False: the step is there already.</summary>
    public bool Insert(long step, double tokens, double unixSeconds, double value)
    {
        // Steps mostly grow.
        int at = Count == 0 || step > Step[^1] ? Count : Step.BinarySearch(step);
        if (at >= 0 && at < Count)
        {
            return false;
        }

        at = at < 0 ? ~at : at;
        Step.Insert(at, step);
        Tokens.Insert(at, tokens);
        UnixSeconds.Insert(at, unixSeconds);
        Value.Insert(at, value);
        return true;
    }

    /// <summary>Keeps the first <paramref name="kept"/> points; the others are the answer.</summary>
    public SeriesPoints SplitOff(int kept)
    {
        var rest = new SeriesPoints();
        foreach (var (mine, theirs) in new[] { (Tokens, rest.Tokens), (UnixSeconds, rest.UnixSeconds), (Value, rest.Value) })
        {
            theirs.AddRange(mine.Skip(kept));
            mine.RemoveRange(kept, mine.Count - kept);
        }

        rest.Step.AddRange(Step.Skip(kept));
        Step.RemoveRange(kept, Step.Count - kept);
        return rest;
    }

    public byte[] ToBody()
    {
        byte[] body = new byte[Count * BytesPerPoint];
        int column = Count * sizeof(double);
        for (int i = 0; i < Count; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(body.AsSpan(i * sizeof(long)), Step[i]);
        }

        WriteColumn(body.AsSpan(column), Tokens);
        WriteColumn(body.AsSpan(2 * column), UnixSeconds);
        WriteColumn(body.AsSpan(3 * column), Value);
        return body;
    }

    /// <summary>Adds the points of a chunk's body whose step lies in [from, before).</summary>
    public void AddBody(ReadOnlySpan<byte> body, long from = long.MinValue, long before = long.MaxValue)
    {
        if (body.Length % BytesPerPoint != 0)
        {
            throw new InvalidDataException($"a series chunk of {body.Length} bytes is not whole points of {BytesPerPoint} bytes");
        }

        int column = body.Length / BytesPerPoint * sizeof(double);
        for (int at = 0; at < column; at += sizeof(double))
        {
            long step = BinaryPrimitives.ReadInt64LittleEndian(body[at..]);
            if (step >= from && step < before)
            {
                Add(step, BinaryPrimitives.ReadDoubleLittleEndian(body[(column + at)..]),
                    BinaryPrimitives.ReadDoubleLittleEndian(body[((2 * column) + at)..]),
                    BinaryPrimitives.ReadDoubleLittleEndian(body[((3 * column) + at)..]));
            }
        }
    }

    private static void WriteColumn(Span<byte> target, List<double> values)
    {
        for (int i = 0; i < values.Count; i++)
        {
            BinaryPrimitives.WriteDoubleLittleEndian(target[(i * sizeof(double))..], values[i]);
        }
    }
}

/// <summary>
/// Smallest, largest, sum and last of the finite values among some points, and how many are no numbers: a loss that is NaN spoils none
/// of them and is not lost either.
/// </summary>
public readonly record struct SeriesHead(int Points, double Min, double Max, double Sum, double Last)
{
    /// <summary>Points that are NaN or infinite.</summary>
    public int NotFinite { get; init; }

    /// <summary>The newest of them, where the newest point of all is one.</summary>
    public double? LastNotFinite { get; init; }

    public static SeriesHead Of(List<double> values) => Of(CollectionsMarshal.AsSpan(values));

    public static SeriesHead Of(ReadOnlySpan<double> values)
    {
        // Ten million values are looked at for one page: plain numbers, and no head for each.
        int points = 0;
        double min = double.PositiveInfinity, max = double.NegativeInfinity, sum = 0, last = 0;
        foreach (double value in values)
        {
            if (double.IsFinite(value))
            {
                points++;
                min = value < min ? value : min;
                max = value > max ? value : max;
                sum += value;
                last = value;
            }
        }

        return (points == 0 ? default : new SeriesHead(points, min, max, sum, last)) with
        {
            NotFinite = values.Length - points,
            LastNotFinite = values.IsEmpty || double.IsFinite(values[^1]) ? null : values[^1],
        };
    }

    public SeriesHead With(double value) => double.IsFinite(value) ? With(new SeriesHead(1, value, value, value, value))
        : this with { NotFinite = NotFinite + 1, LastNotFinite = value };

    public SeriesHead With(SeriesHead later)
    {
        if (later.Points == 0 && later.NotFinite == 0)
        {
            return this;
        }

        var finite = later.Points == 0 ? this : Points == 0 ? later
            : new SeriesHead(Points + later.Points, Math.Min(Min, later.Min), Math.Max(Max, later.Max), Sum + later.Sum, later.Last);
        return finite with { NotFinite = NotFinite + later.NotFinite, LastNotFinite = later.LastNotFinite };
    }
}
