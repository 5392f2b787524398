using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>
/// Where the points of a chunk lie. All series of an attempt have a point at each of its steps, so they share one of these.
/// </summary>
internal sealed record ChunkPlaces(double[] Step, double[] Tokens, double[] UnixSeconds)
{
    public double[] On(SeriesAxis axis) => axis switch { SeriesAxis.Step => Step, SeriesAxis.Tokens => Tokens, _ => UnixSeconds };

    public bool Same(ChunkPlaces other) => Step.AsSpan().SequenceEqual(other.Step) && Tokens.AsSpan().SequenceEqual(other.Tokens)
        && UnixSeconds.AsSpan().SequenceEqual(other.UnixSeconds);
}

/// <summary>
/// A chunk as charts want it: its columns, and its head with what a stored head does not know, the points that are no numbers.
/// </summary>
internal sealed class SeriesChunk
{
    public SeriesChunk(ChunkPlaces places, double[] values)
    {
        (Places, Values) = (places, values);
        Head = SeriesHead.Of(values);
    }

    public ChunkPlaces Places { get; }

    public double[] Values { get; }

    public SeriesHead Head { get; }

    public int Count => Values.Length;

    /// <param name="known">Places of another series at the same steps: kept instead where they are the same.</param>
    public static SeriesChunk Of(ReadOnlySpan<byte> body, ChunkPlaces? known = null)
    {
        if (body.Length % SeriesPoints.BytesPerPoint != 0)
        {
            throw new InvalidDataException($"a series chunk of {body.Length} bytes is not whole points of "
                + $"{SeriesPoints.BytesPerPoint} bytes");
        }

        // The columns are little-endian, as is every machine that .NET runs on with such bodies.
        int points = body.Length / SeriesPoints.BytesPerPoint;
        var columns = MemoryMarshal.Cast<byte, double>(body);
        double[] steps = new double[points];
        var whole = MemoryMarshal.Cast<byte, long>(body[..(points * sizeof(long))]);
        for (int i = 0; i < points; i++)
        {
            steps[i] = whole[i];
        }

        var places = new ChunkPlaces(steps, columns.Slice(points, points).ToArray(), columns.Slice(2 * points, points).ToArray());
        return new SeriesChunk(known is not null && known.Same(places) ? known : places, columns.Slice(3 * points, points).ToArray());
    }

    /// <summary>The first point at or beyond a step; their number where there is none.</summary>
    public int IndexOf(long step)
    {
        int at = Array.BinarySearch(Places.Step, (double)step);
        return at < 0 ? ~at : at;
    }
}

/// <summary>
/// Chunks that are full, and so never change, as they were read last. Charts of a page that stays open, and of all who look at the same
/// run, read only what is new from the database.
/// </summary>
internal sealed class ChunkCache
{
    /// <summary>Four stages of ten series of a million points each; beyond it the line that was longest not looked at goes.</summary>
    private const long BytesMax = 512L << 20;

    /// <summary>Lines whose heads are known; a head is a hundredth of its points.</summary>
    private const int HeadsMax = 8192;

    /// <summary>How late a sample that an older attempt still had to send may be seen.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(10);

    private readonly Lock gate = new();
    private readonly Dictionary<LineKey, LineHeads> heads = [];
    private readonly Dictionary<LineKey, Line> lines = [];
    private readonly Dictionary<(string Run, string Stage, int Attempt), Dictionary<long, WeakReference<ChunkPlaces>>> places = [];
    private long bytes;
    private long clock;

    /// <summary>What is known of a line's chunks.</summary>
    public LineHeads HeadsOf(LineKey key)
    {
        lock (gate)
        {
            return heads.GetValueOrDefault(key, LineHeads.None);
        }
    }

    public static bool IsFresh(LineHeads known) => known.At is { } at && TimeProvider.System.GetElapsedTime(at) < Fresh;

    /// <param name="rows">All chunks of the line after the last full one that is known, in order.</param>
    public LineHeads Learn(LineKey key, LineHeads known, IReadOnlyList<ChunkHead> rows)
    {
        var learned = new LineHeads([.. known.Full, .. rows.TakeWhile(r => r.Full)], [.. rows.SkipWhile(r => r.Full)],
            TimeProvider.System.GetTimestamp());
        lock (gate)
        {
            if (heads.Count >= HeadsMax)
            {
                heads.Clear();
            }

            // Who asked at the same time may have learned more.
            if (heads.GetValueOrDefault(key, LineHeads.None).Full.Length <= learned.Full.Length)
            {
                heads[key] = learned;
            }
        }

        return learned;
    }

    public SeriesChunk? Find(LineKey key, long firstStep)
    {
        lock (gate)
        {
            if (!lines.TryGetValue(key, out var line))
            {
                return null;
            }

            line.Used = ++clock;
            return line.Chunks.GetValueOrDefault(firstStep);
        }
    }

    /// <summary>Decodes a body, and keeps it where it is full.</summary>
    public SeriesChunk Add(LineKey key, long firstStep, byte[] body)
    {
        ChunkPlaces? known;
        lock (gate)
        {
            known = Known(key).GetValueOrDefault(firstStep)?.TryGetTarget(out var target) == true ? target : null;
        }

        var chunk = SeriesChunk.Of(body, known);
        if (chunk.Count < OpenChunks.PointsMax)
        {
            return chunk;
        }

        lock (gate)
        {
            if (!lines.TryGetValue(key, out var line))
            {
                lines[key] = line = new Line();
            }

            line.Used = ++clock;
            if (line.Chunks.TryAdd(firstStep, chunk))
            {
                Known(key)[firstStep] = new WeakReference<ChunkPlaces>(chunk.Places);
                long size = (ReferenceEquals(chunk.Places, known) ? 1 : 4) * sizeof(double) * chunk.Count;
                (line.Bytes, bytes) = (line.Bytes + size, bytes + size);
                Trim(key);
            }
        }

        return chunk;
    }

    private Dictionary<long, WeakReference<ChunkPlaces>> Known(LineKey key) =>
        places.TryGetValue((key.Run, key.Stage, key.Attempt), out var known) ? known : places[(key.Run, key.Stage, key.Attempt)] = [];

    private void Trim(LineKey keep)
    {
        while (bytes > BytesMax && lines.Count > 1)
        {
            var (oldest, line) = lines.Where(l => l.Key != keep).MinBy(l => l.Value.Used);
            lines.Remove(oldest);
            bytes -= line.Bytes;
            if (!lines.Keys.Any(k => (k.Run, k.Stage, k.Attempt) == (oldest.Run, oldest.Stage, oldest.Attempt)))
            {
                places.Remove((oldest.Run, oldest.Stage, oldest.Attempt));
            }
        }
    }

    /// <param name="Full">From the first on; these never change.</param>
    /// <param name="Open">Those that still grow, as they were seen last.</param>
    /// <param name="At">When it was looked; null: never.</param>
    internal sealed record LineHeads(ImmutableArray<ChunkHead> Full, ImmutableArray<ChunkHead> Open, long? At)
    {
        public static LineHeads None { get; } = new([], [], null);

        /// <summary>Chunks after the one that begins here are to be asked for.</summary>
        public long After => Full.IsEmpty ? long.MinValue : Full[^1].FirstStep;

        public IEnumerable<ChunkHead> All => Full.Concat(Open);
    }

    internal readonly record struct LineKey(string Run, string Stage, string Name, int Attempt);

    private sealed class Line
    {
        public Dictionary<long, SeriesChunk> Chunks { get; } = [];

        public long Bytes { get; set; }

        public long Used { get; set; }
    }
}
