using System.Data.Common;
using System.Globalization;
using System.Text.Json;
using Orleans;
using Orleans.Runtime;

namespace DeepSeekOps.ControlPlane.Storage.Orleans;

/// <summary>
/// Who the silos are. A row changes only together with the table's version, in one transaction, so of racing changes exactly one wins.
/// </summary>
public sealed class OpsMembership(OpsConnections connections) : IMembershipTable
{
    private const int VersionId = 1;

    public async Task InitializeMembershipTable(bool tryInitTableVersion)
    {
        await using var connection = await connections.Open(CancellationToken.None);
        await Execute(connection, null, "INSERT INTO member_version (id, version) VALUES (@id, 0) ON CONFLICT (id) DO NOTHING",
            ("id", VersionId));
    }

    public Task<MembershipTableData> ReadAll() => Read(null);

    public Task<MembershipTableData> ReadRow(SiloAddress key) => Read(key);

    public Task<bool> InsertRow(MembershipEntry entry, TableVersion tableVersion) => Change(tableVersion, (connection, transaction) =>
        Execute(connection, transaction,
            "INSERT INTO member (silo, etag, alive_at, body) VALUES (@silo, 1, @alive, @body) ON CONFLICT (silo) DO NOTHING",
            ("silo", entry.SiloAddress.ToParsableString()), ("alive", Utc(entry.IAmAliveTime)), ("body", MemberJson.Write(entry))));

    public Task<bool> UpdateRow(MembershipEntry entry, string etag, TableVersion tableVersion) =>
        Change(tableVersion, (connection, transaction) =>
        Execute(connection, transaction,
            "UPDATE member SET etag = etag + 1, alive_at = @alive, body = @body WHERE silo = @silo AND etag = @etag",
            ("silo", entry.SiloAddress.ToParsableString()), ("alive", Utc(entry.IAmAliveTime)), ("body", MemberJson.Write(entry)),
            ("etag", long.Parse(etag, CultureInfo.InvariantCulture))));

    /// <summary>Only the time: no version changes, other silos need not read the table again.</summary>
    public async Task UpdateIAmAlive(MembershipEntry entry)
    {
        await using var connection = await connections.Open(CancellationToken.None);
        await Execute(connection, null, "UPDATE member SET alive_at = @alive WHERE silo = @silo",
            ("silo", entry.SiloAddress.ToParsableString()), ("alive", Utc(entry.IAmAliveTime)));
    }

    public async Task CleanupDefunctSiloEntries(DateTimeOffset beforeDate)
    {
        var all = await ReadAll();
        await using var connection = await connections.Open(CancellationToken.None);
        foreach (var (member,
            _) in all.Members.Where(m => m.Item1.Status == SiloStatus.Dead && Utc(m.Item1.IAmAliveTime) < beforeDate.UtcDateTime))
        {
            string silo = member.SiloAddress.ToParsableString();
            // First: what a silo has is free where the table calls it dead, and not where it is not named.
            await Execute(connection, null, "DELETE FROM activation WHERE silo = @silo", ("silo", silo));
            await Execute(connection, null, "DELETE FROM member WHERE silo = @silo", ("silo", silo));
        }
    }

    public async Task DeleteMembershipTableEntries(string clusterId)
    {
        await using var connection = await connections.Open(CancellationToken.None);
        await Purge(connection);
    }

    /// <summary>Forgets all silos and what they had: for the embedded database, whose only silo is the one that starts now.</summary>
    public static async Task Purge(DbConnection connection)
    {
        await Execute(connection, null, "DELETE FROM activation");
        await Execute(connection, null, "DELETE FROM member");
        await Execute(connection, null, "DELETE FROM member_version");
    }

    private async Task<bool> Change(TableVersion version, Func<DbConnection, DbTransaction, Task<int>> change)
    {
        await using var connection = await connections.Open(CancellationToken.None);
        await using var transaction = await connection.BeginTransactionAsync();
        int versions = await Execute(connection, transaction, "UPDATE member_version SET version = @next WHERE id = @id AND version = @now",
            ("next", (long)version.Version), ("id", VersionId), ("now", long.Parse(version.VersionEtag, CultureInfo.InvariantCulture)));
        if (versions == 0 || await change(connection, transaction) == 0)
        {
            await transaction.RollbackAsync();
            return false;
        }

        await transaction.CommitAsync();
        return true;
    }

    private async Task<MembershipTableData> Read(SiloAddress? only)
    {
        await using var connection = await connections.Open(CancellationToken.None);
        await using var command = connection.CreateCommand();
        // One statement, so that rows and version are of one moment.
        command.CommandText = "SELECT v.version, m.etag, m.alive_at, m.body FROM member_version v LEFT JOIN member m ON "
            + (only is null ? "1 = 1" : "m.silo = @silo") + " WHERE v.id = @id";
        command.Add("id", VersionId);
        if (only is not null)
        {
            command.Add("silo", only.ToParsableString());
        }

        await using var reader = await command.ExecuteReaderAsync();
        var members = new List<Tuple<MembershipEntry, string>>();
        long version = 0;
        while (await reader.ReadAsync())
        {
            version = reader.GetInt64(0);
            if (!await reader.IsDBNullAsync(1))
            {
                var entry = MemberJson.Read(reader.GetString(3));
                entry.IAmAliveTime = Utc(reader.GetDateTime(2));
                members.Add(Tuple.Create(entry, reader.GetInt64(1).ToString(CultureInfo.InvariantCulture)));
            }
        }

        return new MembershipTableData(members, new TableVersion((int)version, version.ToString(CultureInfo.InvariantCulture)));
    }

    private static DateTime Utc(DateTime time) => DateTime.SpecifyKind(time, DateTimeKind.Utc);

    private static async Task<int> Execute(DbConnection connection, DbTransaction? transaction, string sql,
        params (string Name, object Value)[] parameters)
    {
        await using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = sql;
        foreach (var (name, value) in parameters)
        {
            command.Add(name, value);
        }

        return await command.ExecuteNonQueryAsync();
    }
}

/// <summary>A membership entry as JSON; addresses in Orleans' own parsable text.</summary>
internal static class MemberJson
{
    private sealed record Member(
        string Silo, SiloStatus Status, string HostName, string SiloName, string? RoleName, int ProxyPort, DateTime StartTime,
        int UpdateZone, int FaultZone,
        Suspicion[] Suspicions);

    private sealed record Suspicion(string By, DateTime At);

    public static string Write(MembershipEntry entry) => JsonSerializer.Serialize(new Member(
        entry.SiloAddress.ToParsableString(), entry.Status, entry.HostName, entry.SiloName, entry.RoleName, entry.ProxyPort,
        entry.StartTime,
        entry.UpdateZone, entry.FaultZone,
        [.. (entry.SuspectTimes ?? []).Select(s => new Suspicion(s.Item1.ToParsableString(), s.Item2))]));

    public static MembershipEntry Read(string body)
    {
        var member = JsonSerializer.Deserialize<Member>(body) ?? throw new JsonException("a member was expected, null is stored");
        return new MembershipEntry
        {
            SiloAddress = SiloAddress.FromParsableString(member.Silo),
            Status = member.Status,
            HostName = member.HostName,
            SiloName = member.SiloName,
            RoleName = member.RoleName,
            ProxyPort = member.ProxyPort,
            StartTime = member.StartTime,
            UpdateZone = member.UpdateZone,
            FaultZone = member.FaultZone,
            SuspectTimes = [.. member.Suspicions.Select(s => Tuple.Create(SiloAddress.FromParsableString(s.By), s.At))],
        };
    }
}
