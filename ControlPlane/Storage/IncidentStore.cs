using System.Collections.Immutable;
using System.IO.Compression;
using System.Text.Json;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Incidents;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>An incident, and how right a person found its diagnosis.</summary>
public sealed record GradedIncident(Incident Incident, int? Grade);

/// <summary>The mean of what people graded. Null: nobody has.</summary>
public sealed record MeanGrade(double? Mean, int Graded);

/// <summary>Incidents, and what was known of each attempt that failed. For people: nothing here is read to decide.</summary>
public sealed class IncidentStore(WriteLanes lanes, OpsConnections connections, LogQueries logs, ChangeFeed feed)
{
    private const string Closed = nameof(IncidentState.Closed);
    private const int PageMax = 1000;

    /// <summary>What stands for the run in rows of nodes' incidents: no run has that name.</summary>
    private const string OfNodes = "";

    private const string Upsert = """
        INSERT INTO incident (run, stage, number, state, at, body) VALUES (@run, @stage, @number, @state, @at, @body)
        ON CONFLICT (run, stage, number) DO UPDATE SET state = excluded.state, body = excluded.body
        """;

    // Of one attempt the first failure is the one to keep: what follows it is its consequence.
    private const string Insert = """
        INSERT INTO evidence (run, stage, attempt, at, body) VALUES (@run, @stage, @attempt, @at, @body)
        ON CONFLICT (run, stage, attempt) DO NOTHING
        """;

    private const string SetGrade = """
        UPDATE incident SET grade = @grade, graded_at = @at WHERE run = @run AND stage = @stage AND number = @number
        """;

    private const string Forget = "DELETE FROM evidence WHERE run = @run AND stage = @stage AND attempt <= @oldest";

    public async Task Record(Incident incident, CancellationToken cancellation)
    {
        await lanes.Run(incident.Stage.Run, [new Statement(Upsert,
            ("run", incident.Stage.Run), ("stage", incident.Stage.Stage), ("number", incident.Number),
            ("state", incident.State.ToString()), ("at", incident.OpenedAt.UtcDateTime), ("body", LedgerJson.Write(incident)))],
            cancellation);
        feed.Changed(incident.Stage.Run);
    }

    public Task Record(NodeIncident incident, CancellationToken cancellation) => lanes.Run(incident.Node.Name, [new Statement(Upsert,
        ("run", OfNodes), ("stage", incident.Node.Name), ("number", incident.Number), ("state", incident.State.ToString()),
        ("at", incident.OpenedAt.UtcDateTime), ("body", LedgerJson.Write(incident)))], cancellation);

    /// <summary>Durable when it returns. What a rank had printed before its last words is taken from its log.</summary>
    public async Task Keep(Evidence evidence, CancellationToken cancellation)
    {
        var ranks = ImmutableArray.CreateBuilder<RankEvidence>();
        foreach (var rank in evidence.Ranks)
        {
            var printed = await logs.Tail(new LogQuery(evidence.Stage.Run, evidence.Stage.Stage, evidence.Attempt, rank.Rank,
                Evidence.LinesKept, ""), cancellation);
            ranks.Add(rank with { Lines = LastWords.Of([.. printed.Select(l => l.Line.Text)], rank.Lines) });
        }

        byte[] body = Compress(evidence with { Ranks = ranks.ToImmutable() });
        var (run, stage) = (evidence.Stage.Run, evidence.Stage.Stage);
        await lanes.Run(run,
        [
            new Statement(Insert, ("run", run), ("stage", stage), ("attempt", evidence.Attempt), ("at", evidence.At.UtcDateTime),
                ("body", body)),
            new Statement(Forget, ("run", run), ("stage", stage), ("oldest", evidence.Attempt - Evidence.AttemptsKept)),
        ], cancellation);
    }

    /// <summary>Newest first.</summary>
    /// <param name="run">Null: of all runs.</param>
    /// <param name="since">Null: of all times; else those that were opened then or later, and those that are open still.</param>
    /// <param name="team">The only team whose runs may be seen; empty: all.</param>
    public async Task<List<GradedIncident>> Newest(
        string? run, DateTimeOffset? since, int limit, CancellationToken cancellation, string team = "")
    {
        string ofTeam = team.ToLowerInvariant();
        await using var context = connections.Context();
        var from = (since ?? DateTimeOffset.UnixEpoch).UtcDateTime;
        var found = await context.Incidents
            .Where(i => i.Run != OfNodes && (run == null || i.Run == run) && (i.At >= from || i.State != Closed))
            .Where(i => ofTeam == "" || context.RunList.Any(r => r.Name == i.Run && r.Team == ofTeam))
            .OrderByDescending(i => i.At).ThenByDescending(i => i.Number).ThenBy(i => i.Run).ThenBy(i => i.Stage)
            .Take(Math.Clamp(limit, 1, PageMax)).Select(i => new { i.Body, i.Grade }).ToListAsync(cancellation);
        return found.ConvertAll(i => new GradedIncident(LedgerJson.Read<Incident>(i.Body), i.Grade));
    }

    /// <summary>Incidents of nodes, newest first.</summary>
    /// <param name="node">Null: of all nodes.</param>
    /// <param name="since">As above.</param>
    public async Task<List<NodeIncident>> NewestOfNodes(
        string? node, DateTimeOffset? since, int limit, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var from = (since ?? DateTimeOffset.UnixEpoch).UtcDateTime;
        var found = await context.Incidents
            .Where(i => i.Run == OfNodes && (node == null || i.Stage == node) && (i.At >= from || i.State != Closed))
            .OrderByDescending(i => i.At).ThenBy(i => i.Stage).ThenByDescending(i => i.Number)
            .Take(Math.Clamp(limit, 1, PageMax)).Select(i => i.Body).ToListAsync(cancellation);
        return found.ConvertAll(LedgerJson.Read<NodeIncident>);
    }

    /// <summary>How many of stages are in each state; of those that are closed nothing is counted.</summary>
    public async Task<ImmutableDictionary<IncidentState, int>> Open(CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var found = await context.Incidents.Where(i => i.Run != OfNodes && i.State != Closed).GroupBy(i => i.State)
            .Select(g => new { State = g.Key, Incidents = g.Count() }).ToListAsync(cancellation);
        return found.ToImmutableDictionary(g => Enum.Parse<IncidentState>(g.State), g => g.Incidents);
    }

    /// <param name="number">Null: the newest.</param>
    public async Task<GradedIncident?> Read(string run, string? stage, int? number, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var found = await context.Incidents
            .Where(i => i.Run == run && (stage == null || i.Stage == stage) && (number == null || i.Number == number))
            .OrderByDescending(i => i.At).ThenByDescending(i => i.Number).Select(i => new { i.Body, i.Grade })
            .FirstOrDefaultAsync(cancellation);
        return found is null ? null : new GradedIncident(LedgerJson.Read<Incident>(found.Body), found.Grade);
    }

    /// <param name="acts">Who asked for it.</param>
    public async Task Grade(
        Incident incident, int grade, DateTimeOffset at, CancellationToken cancellation, ImmutableArray<AuditAct> acts = default)
    {
        await lanes.Run(incident.Stage.Run, [new Statement(SetGrade, ("run", incident.Stage.Run), ("stage", incident.Stage.Stage),
            ("number", incident.Number), ("grade", grade), ("at", at.UtcDateTime))
            {
                Acts = acts.IsDefault ? [] : acts,
            }], cancellation);
        feed.Changed(incident.Stage.Run);
    }

    /// <summary>Of all runs.</summary>
    public async Task<MeanGrade> GradedSince(DateTimeOffset since, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var from = since.UtcDateTime;
        var grades = context.Incidents.Where(i => i.Grade != null && i.GradedAt >= from).Select(i => (double?)i.Grade);
        return new MeanGrade(await grades.AverageAsync(cancellation), await grades.CountAsync(cancellation));
    }

    public async Task<Evidence?> EvidenceOf(string run, string stage, int attempt, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        byte[]? body = await context.Evidence.Where(e => e.Run == run && e.Stage == stage && e.Attempt == attempt)
            .Select(e => e.Body).FirstOrDefaultAsync(cancellation);
        return body is null ? null : Expand(body);
    }

    private static byte[] Compress(Evidence evidence)
    {
        using var bytes = new MemoryStream();
        using (var brotli = new BrotliStream(bytes, CompressionLevel.Fastest))
        {
            JsonSerializer.Serialize(brotli, evidence, LedgerJson.Options);
        }

        return bytes.ToArray();
    }

    private static Evidence Expand(byte[] body)
    {
        using var brotli = new BrotliStream(new MemoryStream(body), CompressionMode.Decompress);
        return JsonSerializer.Deserialize<Evidence>(brotli, LedgerJson.Options)
            ?? throw new JsonException("evidence was expected, null is stored");
    }
}
