using System.Data.Common;
using System.Globalization;
using Orleans.Runtime;

namespace DeepSeekOps.ControlPlane.Storage.Orleans;

/// <summary>Reminders in the ledger's database: they wake a grain after its silo was lost.</summary>
public sealed class OpsReminders(WriteLanes lanes, OpsConnections connections) : IReminderTable
{
    private const string Columns = "SELECT grain_id, name, start_at, period_ticks, etag FROM reminder";

    private const string Upsert = """
        INSERT INTO reminder (grain_id, name, start_at, period_ticks, grain_hash, etag)
        VALUES (@grain, @name, @start, @period, @hash, @etag)
        ON CONFLICT (grain_id, name) DO UPDATE
        SET start_at = excluded.start_at, period_ticks = excluded.period_ticks, grain_hash = excluded.grain_hash, etag = excluded.etag
        """;

    public async Task<ReminderTableData> ReadRows(GrainId grainId) =>
        new(await Read($"{Columns} WHERE grain_id = @grain", command => command.Add("grain", grainId.ToString())));

    /// <summary>The ring's range (begin, end]; where it wraps, both of its parts.</summary>
    public async Task<ReminderTableData> ReadRows(uint begin, uint end)
    {
        string range = begin < end ? "grain_hash > @begin AND grain_hash <= @end" : "grain_hash > @begin OR grain_hash <= @end";
        return new ReminderTableData(
            await Read($"{Columns} WHERE {range}", command => command.Add("begin", (long)begin).Add("end", (long)end)));
    }

    public async Task<ReminderEntry?> ReadRow(GrainId grainId, string reminderName)
    {
        var rows = await Read($"{Columns} WHERE grain_id = @grain AND name = @name",
            command => command.Add("grain", grainId.ToString()).Add("name", reminderName));
        return rows.Count > 0 ? rows[0] : null;
    }

    public async Task<string?> UpsertRow(ReminderEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        string etag = Guid.CreateVersion7().ToString("N");
        string grain = entry.GrainId.ToString();
        await lanes.Run(grain, [new Statement(Upsert,
            ("grain", grain), ("name", entry.ReminderName), ("start", DateTime.SpecifyKind(entry.StartAt, DateTimeKind.Utc)),
            ("period", entry.Period.Ticks), ("hash", (long)entry.GrainId.GetUniformHashCode()), ("etag", etag))], CancellationToken.None);
        return etag;
    }

    public async Task<bool> RemoveRow(GrainId grainId, string reminderName, string eTag)
    {
        string grain = grainId.ToString();
        int[] rows = await lanes.Run(grain,
            [new Statement("DELETE FROM reminder WHERE grain_id = @grain AND name = @name AND etag = @etag",
                ("grain", grain), ("name", reminderName), ("etag", eTag))], CancellationToken.None);
        return rows[0] > 0;
    }

    public Task TestOnlyClearTable() => lanes.Run("", [new Statement("DELETE FROM reminder")], CancellationToken.None);

    private async Task<List<ReminderEntry>> Read(string sql, Action<DbCommand> parameters)
    {
        await using var connection = await connections.Open(CancellationToken.None);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        parameters(command);
        await using var reader = await command.ExecuteReaderAsync();
        var entries = new List<ReminderEntry>();
        while (await reader.ReadAsync())
        {
            entries.Add(new ReminderEntry
            {
                GrainId = GrainId.Parse(reader.GetString(0), CultureInfo.InvariantCulture),
                ReminderName = reader.GetString(1),
                StartAt = DateTime.SpecifyKind(reader.GetDateTime(2), DateTimeKind.Utc),
                Period = TimeSpan.FromTicks(reader.GetInt64(3)),
                ETag = reader.GetString(4),
            });
        }

        return entries;
    }
}
