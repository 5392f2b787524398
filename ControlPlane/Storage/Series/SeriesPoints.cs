using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>Points of one series in order of steps, in columns. The body of a chunk is these columns, little-endian, one after the other.</summary>
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

/// <summary>Smallest, largest, sum and last of the finite values among some points; a loss that is NaN counts in none of them.</summary>
public readonly record struct SeriesHead(int Points, double Min, double Max, double Sum, double Last)
{
    public static SeriesHead Of(List<double> values)
    {
        var head = default(SeriesHead);
        foreach (double value in CollectionsMarshal.AsSpan(values))
        {
            head = head.With(value);
        }

        return head;
    }

    public SeriesHead With(double value) => double.IsFinite(value) ? With(new SeriesHead(1, value, value, value, value)) : this;

    public SeriesHead With(SeriesHead later) =>
        later.Points == 0 ? this
        : Points == 0 ? later
        : new SeriesHead(Points + later.Points, Math.Min(Min, later.Min), Math.Max(Max, later.Max), Sum + later.Sum, later.Last);
}
