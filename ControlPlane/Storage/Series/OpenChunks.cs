using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>
/// The last chunk of each series of one attempt, still being filled. Steps of an attempt only grow (going back is a new attempt), so a
/// step that is not beyond the last one is a repeat.
/// </summary>
internal sealed class OpenChunks(StageId stage, int attempt)
{
    public const int PointsMax = 512;

    // A chunk is written again each time it grows; the longer body wins, so a silo that lost the stage cannot shorten it.
    private const string Upsert = """
        INSERT INTO series_chunk (run, stage, name, attempt, first_step, last_step, points, min, max, sum, last, body)
        VALUES (@run, @stage, @name, @attempt, @first_step, @last_step, @points, @min, @max, @sum, @last, @body)
        ON CONFLICT (run, stage, name, attempt, first_step) DO UPDATE SET last_step = excluded.last_step, points = excluded.points,
        min = excluded.min, max = excluded.max, sum = excluded.sum, last = excluded.last, body = excluded.body
        WHERE length(excluded.body) >= length(series_chunk.body)
        """;

    private readonly Dictionary<string, SeriesPoints> open = [];
    private readonly List<(string Name, SeriesPoints Points)> full = [];
    private readonly HashSet<string> grown = [];
    private long lastStep = long.MinValue;

    public static async Task<OpenChunks> Load(OpsConnections connections, StageId stage, int attempt, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var ofAttempt = context.SeriesChunks.Where(c => c.Run == stage.Run && c.Stage == stage.Stage && c.Attempt == attempt);
        var lasts = await ofAttempt.GroupBy(c => c.Name).Select(g => new { Name = g.Key, First = g.Max(c => c.FirstStep), Last = g.Max(c => c.LastStep) })
            .ToListAsync(cancellation);
        var chunks = new OpenChunks(stage, attempt);
        foreach (var last in lasts)
        {
            byte[] body = await ofAttempt.Where(c => c.Name == last.Name && c.FirstStep == last.First).Select(c => c.Body).SingleAsync(cancellation);
            chunks.lastStep = Math.Max(chunks.lastStep, last.Last);
            if (body.Length < PointsMax * SeriesPoints.BytesPerPoint)
            {
                var points = new SeriesPoints();
                points.AddBody(body);
                chunks.open[last.Name] = points;
            }
        }

        return chunks;
    }

    /// <summary>False: the step was there already.</summary>
    public bool Add(StepSample sample)
    {
        if (sample.Step <= lastStep)
        {
            return false;
        }

        lastStep = sample.Step;
        foreach (var (name, value) in SampleSeries.Of(sample))
        {
            if (!open.TryGetValue(name, out var points))
            {
                open[name] = points = new SeriesPoints();
            }

            points.Add(sample.Step, sample.Tokens, SampleSeries.UnixSeconds(sample), value);
            grown.Add(name);
            if (points.Count == PointsMax)
            {
                full.Add((name, points));
                open.Remove(name);
                grown.Remove(name);
            }
        }

        return true;
    }

    /// <summary>What has to be written since the last call.</summary>
    public List<Statement> TakeStatements()
    {
        List<Statement> statements = [.. full.Concat(grown.Select(name => (Name: name, Points: open[name]))).Select(c => ToStatement(c.Name, c.Points))];
        full.Clear();
        grown.Clear();
        return statements;
    }

    private Statement ToStatement(string name, SeriesPoints points)
    {
        var head = SeriesHead.Of(points.Value);
        return new Statement(Upsert,
            ("run", stage.Run), ("stage", stage.Stage), ("name", name), ("attempt", attempt),
            ("first_step", points.Step[0]), ("last_step", points.Step[^1]),
            ("points", head.Points), ("min", head.Min), ("max", head.Max), ("sum", head.Sum), ("last", head.Last),
            ("body", points.ToBody()));
    }
}
