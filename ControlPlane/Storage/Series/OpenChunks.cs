using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>
/// The chunks of one attempt's series that are being filled. Steps mostly grow, and then only the last chunk of each series is touched.
/// Where writes failed, later steps may be on the disk before earlier ones: a step is taken whenever it is not there yet, into the chunk
/// that its place is in.
/// </summary>
internal sealed class OpenChunks(OpsConnections connections, StageId stage, int attempt)
{
    public const int PointsMax = 512;

    // A chunk is written again each time it grows; the longer body wins, so a silo that lost the stage cannot shorten it.
    private const string Grow = """
        INSERT INTO series_chunk (run, stage, name, attempt, first_step, last_step, points, min, max, sum, last, body)
        VALUES (@run, @stage, @name, @attempt, @first_step, @last_step, @points, @min, @max, @sum, @last, @body)
        ON CONFLICT (run, stage, name, attempt, first_step) DO UPDATE SET last_step = excluded.last_step, points = excluded.points,
        min = excluded.min, max = excluded.max, sum = excluded.sum, last = excluded.last, body = excluded.body
        """;

    private const string UnlessLonger = "\nWHERE length(excluded.body) >= length(series_chunk.body)";

    private readonly Dictionary<string, Line> lines = [];

    public static async Task<OpenChunks> Load(OpsConnections connections, StageId stage, int attempt, CancellationToken cancellation)
    {
        var chunks = new OpenChunks(connections, stage, attempt);
        await using var context = connections.Context();
        var heads = await chunks.OfAttempt(context).OrderBy(c => c.Name).ThenBy(c => c.FirstStep)
            .Select(c => new { c.Name, c.FirstStep, c.LastStep }).ToListAsync(cancellation);
        foreach (var line in heads.GroupBy(h => h.Name))
        {
            chunks.lines[line.Key] = new Line([.. line.Select(h => h.FirstStep)], line.Max(h => h.LastStep));
        }

        return chunks;
    }

    /// <summary>False: all of it was there already.</summary>
    public async Task<bool> Add(StepSample sample, CancellationToken cancellation)
    {
        bool fresh = false;
        foreach (var (name, value) in SampleSeries.Of(sample))
        {
            if (!lines.TryGetValue(name, out var line))
            {
                lines[name] = line = new Line([], long.MinValue);
            }

            var chunk = line.Place(sample.Step) is { } first ? await Chunk(name, line, first, cancellation) : null;
            fresh |= line.Add(chunk, sample, value);
        }

        return fresh;
    }

    /// <summary>What has to be written since the last call.</summary>
    public List<Statement> TakeStatements() =>
        [.. lines.SelectMany(line => line.Value.TakeTouched().Select(chunk => ToStatement(line.Key, chunk.Points, chunk.Shortened)))];

    private async Task<SeriesPoints> Chunk(string name, Line line, long first, CancellationToken cancellation)
    {
        if (!line.Loaded.TryGetValue(first, out var points))
        {
            await using var context = connections.Context();
            points = new SeriesPoints();
            points.AddBody(
                await OfAttempt(context).Where(c => c.Name == name && c.FirstStep == first).Select(c => c.Body).SingleAsync(cancellation));
            line.Loaded[first] = points;
        }

        return points;
    }

    private IQueryable<Tables.SeriesChunkRow> OfAttempt(OpsDb context) =>
        context.SeriesChunks.Where(c => c.Run == stage.Run && c.Stage == stage.Stage && c.Attempt == attempt);

    private Statement ToStatement(string name, SeriesPoints points, bool shortened)
    {
        var head = SeriesHead.Of(points.Value);
        return new Statement(shortened ? Grow : Grow + UnlessLonger,
            ("run", stage.Run), ("stage", stage.Stage), ("name", name), ("attempt", attempt),
            ("first_step", points.Step[0]), ("last_step", points.Step[^1]),
            ("points", head.Points), ("min", head.Min), ("max", head.Max), ("sum", head.Sum), ("last", head.Last),
            ("body", points.ToBody()));
    }

    /// <summary>One series: where its chunks begin, and those of them that are in memory.</summary>
    private sealed class Line(List<long> firsts, long last)
    {
        private readonly HashSet<long> touched = [];
        private readonly HashSet<long> shortened = [];

        public Dictionary<long, SeriesPoints> Loaded { get; } = [];

        /// <summary>First step of the chunk that the step belongs into. Null: it begins one of its own.</summary>
        public long? Place(long step)
        {
            int next = firsts.BinarySearch(step);
            int at = next >= 0 ? next : ~next - 1;
            return at < 0 ? null : firsts[at];
        }

        /// <summary>False: the point was there already.</summary>
        /// <param name="chunk">That <see cref="Place"/> names, loaded.</param>
        public bool Add(SeriesPoints? chunk, StepSample sample, double value)
        {
            // A full last chunk ends where it is; the next begins with the next step.
            if (chunk is null || (chunk.Count >= PointsMax && sample.Step > last))
            {
                chunk = Begin(sample.Step);
            }

            if (!chunk.Insert(sample.Step, sample.Tokens, SampleSeries.UnixSeconds(sample), value))
            {
                return false;
            }

            last = Math.Max(last, sample.Step);
            touched.Add(chunk.Step[0]);
            if (chunk.Count > PointsMax)
            {
                var second = chunk.SplitOff(PointsMax / 2);
                Begin(second.Step[0], second);
                shortened.Add(chunk.Step[0]);
                touched.Add(second.Step[0]);
            }

            return true;
        }

        /// <summary>Each call tells what changed since the one before; only the last chunk stays in memory.</summary>
        public List<(SeriesPoints Points, bool Shortened)> TakeTouched()
        {
            List<(SeriesPoints, bool)> changed = [.. touched.Order().Select(first => (Loaded[first], shortened.Contains(first)))];
            touched.Clear();
            shortened.Clear();
            foreach (long first in Loaded.Keys.Where(first => first != firsts[^1]).ToList())
            {
                Loaded.Remove(first);
            }

            return changed;
        }

        private SeriesPoints Begin(long first, SeriesPoints? points = null)
        {
            int at = firsts.BinarySearch(first);
            firsts.Insert(~at, first);
            return Loaded[first] = points ?? new SeriesPoints();
        }
    }
}
