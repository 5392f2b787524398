using System.Collections.Immutable;
using System.Data.Common;
using DeepSeekOps.ControlPlane.Storage.Tables;
using DeepSeekOps.Decisions.Audit;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage.Audit;

/// <summary>A line for people.</summary>
public sealed record AuditEntry(long Number, AuditAct Act);

/// <summary>What reading the whole log through gave.</summary>
/// <param name="Found">How many findings there are; <paramref name="Findings"/> has the first of them.</param>
public sealed record AuditVerdict(
    long Lines, long OtherKeys, long Found, IReadOnlyList<AuditFinding> Findings, long Newest, byte[] NewestHash);

/// <summary>
/// The audit log: one chain for all silos. Whoever appends locks its head, computes the next lines in its own transaction, and lets go
/// with the commit; acts are some an hour, so nobody waits long.
/// </summary>
public sealed class AuditLog(WriteLanes lanes, OpsConnections connections, AuditSeal seal)
{
    /// <summary>Of a log of a million lines a page is some MB.</summary>
    private const int PageLines = 5_000;

    private const string Insert = """
        INSERT INTO audit (number, act, run, at, body, previous, hash, seal, sealed_by)
        VALUES (@number, @act, @run, @at, @body, @previous, @hash, @seal, @by)
        """;

    private const string SetHead =
        "UPDATE audit_head SET number = @number, hash = @hash, seal = @seal, sealed_by = @by WHERE id = 1";

    /// <summary>Durable when it returns. For acts that change nothing which is written by itself.</summary>
    public Task Append(ImmutableArray<AuditAct> acts, CancellationToken cancellation) =>
        acts.IsEmpty ? Task.CompletedTask : lanes.Run("audit", [Statement.Of(acts)], cancellation);

    /// <summary>Newest first.</summary>
    /// <param name="run">Null: of everything.</param>
    /// <param name="before">Null: from the newest; else lines before this one.</param>
    public async Task<List<AuditEntry>> Newest(string? run, DateTimeOffset? since, long? before, int limit, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var from = (since ?? DateTimeOffset.UnixEpoch).UtcDateTime;
        var found = await context.Audit
            .Where(a => (run == null || a.Run == run) && a.At >= from && (before == null || a.Number < before))
            .OrderByDescending(a => a.Number).Take(limit).Select(a => new { a.Number, a.Body }).ToListAsync(cancellation);
        return found.ConvertAll(a => new AuditEntry(a.Number, AuditText.Parse(a.Body)?.Act ?? Unreadable(a.Number)));
    }

    /// <param name="anchor">A line that was noted earlier, with the beginning of its hash; null: none was.</param>
    public async Task<AuditVerdict> Verify((long Number, string Hash)? anchor, CancellationToken cancellation)
    {
        var chain = new AuditChain(seal.Secret, seal.Key);
        var (findings, found) = (new List<AuditFinding>(), anchor is null);
        await using var context = connections.Context();
        var head = await Head(context, cancellation);
        for (long after = long.MinValue; ;)
        {
            var rows = await context.Audit.Where(a => a.Number > after).OrderBy(a => a.Number).Take(PageLines).ToListAsync(cancellation);
            foreach (var row in rows)
            {
                found |= anchor is { } noted && row.Number == noted.Number
                    && Convert.ToHexStringLower(row.Hash).StartsWith(noted.Hash, StringComparison.OrdinalIgnoreCase);
                chain.Next(ToLine(row));
            }

            after = rows.Count > 0 ? rows[^1].Number : after;
            var (before, now) = (head, await Head(context, cancellation));
            head = now;
            if (rows.Count < PageLines && before?.Number == now?.Number)
            {
                // Nothing was appended while the last lines were read.
                break;
            }
        }

        var newest = chain.Newest;
        findings.AddRange(chain.End(head is null ? null : new ChainHead(head.Number, head.Hash, head.Seal, head.SealedBy)));
        if (!found && anchor is { } lost)
        {
            findings.Insert(0, new AuditFinding(lost.Number,
                $"line {lost.Number} is not the one that was noted with {lost.Hash}: the log was put back to an earlier state, or "
                + "written anew"));
        }

        return new AuditVerdict(chain.Lines, chain.OtherKeys, chain.Found + (found ? 0 : 1), findings, newest.Number, newest.Hash);
    }

    private static Task<AuditHeadRow?> Head(OpsDb context, CancellationToken cancellation) =>
        context.AuditHeads.FirstOrDefaultAsync(h => h.Id == 1, cancellation);

    /// <summary>In the caller's transaction, as its last statements. What is there already is not written again.</summary>
    internal static async Task Append(
        ImmutableArray<AuditAct> acts, AuditSeal? seal, DbConnection connection, DbTransaction transaction)
    {
        if (acts.IsEmpty)
        {
            return;
        }

        if (seal is null)
        {
            throw new InvalidOperationException("An act was to be written down where nothing seals the audit log.");
        }

        var (number, hash) = await Head(connection, transaction);
        long before = number;
        foreach (var act in acts.DistinctBy(a => a.Id))
        {
            if (await Knows(act.Id, connection, transaction))
            {
                continue;
            }

            var line = seal.Line(++number, act, hash);
            hash = line.Hash;
            await Execute(connection, transaction, new Statement(Insert,
                ("number", number), ("act", act.Id), ("run", act.Run), ("at", act.At.UtcDateTime), ("body", line.Text),
                ("previous", line.Previous), ("hash", line.Hash), ("seal", line.Seal), ("by", line.Key)));
        }

        if (number > before)
        {
            var head = seal.Head(number, hash);
            await Execute(connection, transaction, new Statement(SetHead,
                ("number", number), ("hash", hash), ("seal", head.Seal), ("by", head.Key)));
        }
    }

    private static async Task<(long Number, byte[] Hash)> Head(DbConnection connection, DbTransaction transaction)
    {
        await using var ask = connection.CreateCommand();
        ask.Transaction = transaction;
        ask.CommandText = $"SELECT number, hash FROM audit_head WHERE id = 1{(connection is NpgsqlConnection ? " FOR UPDATE" : "")}";
        await using var reader = await ask.ExecuteReaderAsync();
        return await reader.ReadAsync() ? (reader.GetInt64(0), (byte[])reader.GetValue(1)) : throw new OpsDatabaseException(
            "The audit log has no head: the row of the table audit_head was deleted. Put the database back from a backup.");
    }

    private static async Task<bool> Knows(string act, DbConnection connection, DbTransaction transaction)
    {
        await using var ask = connection.CreateCommand();
        ask.Transaction = transaction;
        ask.CommandText = "SELECT 1 FROM audit WHERE act = @act";
        ask.Add("act", act);
        return await ask.ExecuteScalarAsync() is not null;
    }

    private static async Task Execute(DbConnection connection, DbTransaction transaction, Statement statement)
    {
        await using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = statement.Sql;
        foreach (var (name, value) in statement.Parameters)
        {
            command.Add(name, value);
        }

        await command.ExecuteNonQueryAsync();
    }

    private static ChainedLine ToLine(AuditRow row)
    {
        var text = AuditText.Parse(row.Body);
        // A column that finds a line and does not say what the line says hides it.
        bool told = text is not null && text.Act.Id == row.Act && text.Act.Run == row.Run
            && Math.Abs((text.Act.At.UtcDateTime - row.At).TotalMilliseconds) < 1;
        return new ChainedLine(row.Number, told ? text!.Number : null, row.Body, row.Previous, row.Hash, row.Seal, row.SealedBy);
    }

    private static AuditAct Unreadable(long number) => new($"unreadable-{number}", DateTimeOffset.UnixEpoch, "?", "?", "?", "?", "", "",
        "This line cannot be read; `dsops audit verify` says more.", "?");
}
