using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>Appends to the timelines. The same event told twice is one line, so an outbox may tell it again after a crash.</summary>
public sealed class EventWriter(WriteLanes lanes, OpsConnections connections, ChangeFeed feed)
{
    // The number is the run's next. Two silos may take the same one at once: the loser changes no row and asks again.
    private const string Insert = """
        INSERT INTO event (run, number, at, body, digest)
        SELECT @run, (SELECT COALESCE(MAX(number), 0) + 1 FROM event WHERE run = @run), @at, @body, @digest
        WHERE NOT EXISTS (SELECT 1 FROM event WHERE run = @run AND digest = @digest)
        ON CONFLICT DO NOTHING
        """;

    private const int RacesMax = 20;

    /// <summary>Durable when it returns.</summary>
    public async Task Append(IReadOnlyList<RunEvent> events, CancellationToken cancellation)
    {
        foreach (var run in events.GroupBy(e => e.Run))
        {
            var waiting = run.Select(ToStatement).ToList();
            for (int race = 0; waiting.Count > 0; race++)
            {
                int[] rows = await lanes.Run(run.Key, [.. waiting.Select(w => w.Statement)], cancellation);
                waiting = await Missing(run.Key, [.. waiting.Where((_, i) => rows[i] == 0)], cancellation);
                if (race == RacesMax)
                {
                    throw new OpsDatabaseException($"{waiting.Count} events of {run.Key} could not be numbered after {RacesMax} tries");
                }
            }

            feed.Changed(run.Key);
        }
    }

    public Task Append(RunEvent happened, CancellationToken cancellation) => Append([happened], cancellation);

    private async Task<List<(Statement Statement, byte[] Digest)>> Missing(
        string run, List<(Statement Statement, byte[] Digest)> unwritten, CancellationToken cancellation)
    {
        var missing = new List<(Statement, byte[])>();
        if (unwritten.Count == 0)
        {
            return missing;
        }

        await using var context = connections.Context();
        foreach (var (statement, digest) in unwritten)
        {
            if (!await context.Events.AnyAsync(e => e.Run == run && e.Digest == digest, cancellation))
            {
                missing.Add((statement, digest));
            }
        }

        return missing;
    }

    private static (Statement Statement, byte[] Digest) ToStatement(RunEvent happened)
    {
        string body = LedgerJson.Write(happened);
        byte[] digest = SHA256.HashData(Encoding.UTF8.GetBytes(body));
        return (new Statement(Insert, ("run", happened.Run), ("at", happened.At.UtcDateTime), ("body", body), ("digest", digest)), digest);
    }
}
