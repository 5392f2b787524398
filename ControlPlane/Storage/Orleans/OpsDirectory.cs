using Npgsql;
using NpgsqlTypes;
using Orleans.GrainDirectory;
using Orleans.Runtime;

namespace DeepSeekOps.ControlPlane.Storage.Orleans;

/// <summary>
/// Which silo has a grain, for silos that work at the same time: a row for each, which is that silo's until the table of members calls the
/// silo dead or the silo itself lets go. Orleans' own directories know it by memory that silos hand each other while they come and go.
/// </summary>
public sealed class OpsDirectory(OpsConnections connections, PostgresHold hold) : IGrainDirectory
{
    /// <summary>Said by the table and not by what a silo has heard; who is dead never comes back under the same name.</summary>
    private const string IsDead =
        "EXISTS (SELECT 1 FROM member WHERE member.silo = activation.silo AND (member.body::json->>'Status')::int = 6)";

    /// <summary>Of two that want the same grain, the second finds the row of the first.</summary>
    private const string Enter = $"""
        INSERT INTO activation (grain_id, silo, activation_id, member_version) VALUES (@grain, @silo, @activation, @version)
        ON CONFLICT (grain_id) DO UPDATE
        SET silo = excluded.silo, activation_id = excluded.activation_id, member_version = excluded.member_version
        WHERE (activation.silo = @silo AND activation.activation_id = @previous) OR {IsDead}
        """;

    private const string Find = "SELECT silo, activation_id, member_version FROM activation WHERE grain_id = @grain";

    /// <summary>One that lives is taken from its silo by nobody else, whatever that one has heard.</summary>
    private const string Leave = $"""
        DELETE FROM activation WHERE grain_id = @grain AND activation_id = @activation AND (silo = @silo OR {IsDead})
        """;

    private const string LeaveAll = $"DELETE FROM activation WHERE silo = ANY(@silos) AND {IsDead}";

    public Task<GrainAddress?> Register(GrainAddress address) => Register(address, null);

    public async Task<GrainAddress?> Register(GrainAddress address, GrainAddress? previousAddress)
    {
        ArgumentNullException.ThrowIfNull(address);
        try
        {
            return await Enters(address, previousAddress);
        }
        catch (PostgresException e) when (PostgresHold.Fenced(e) is { } fenced)
        {
            throw new StoreUnwritableException(fenced, e);
        }
    }

    public async Task<GrainAddress?> Lookup(GrainId grainId)
    {
        await using var connection = (NpgsqlConnection)await connections.Open(CancellationToken.None);
        await using var command = new NpgsqlCommand($"{Find} AND NOT {IsDead}", connection);
        command.Parameters.AddWithValue("grain", grainId.ToString());
        await using var reader = await command.ExecuteReaderAsync();
        return await reader.ReadAsync() ? Read(grainId, reader) : null;
    }

    public async Task Unregister(GrainAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        await using var connection = (NpgsqlConnection)await connections.Open(CancellationToken.None);
        await using var command = new NpgsqlCommand(Leave, connection);
        command.Parameters.AddWithValue("grain", address.GrainId.ToString());
        command.Parameters.AddWithValue("activation", address.ActivationId.ToParsableString());
        command.Parameters.AddWithValue("silo", hold.Silo ?? "");
        await command.ExecuteNonQueryAsync();
    }

    public async Task UnregisterSilos(List<SiloAddress> siloAddresses)
    {
        await using var connection = (NpgsqlConnection)await connections.Open(CancellationToken.None);
        await using var command = new NpgsqlCommand(LeaveAll, connection);
        command.Parameters.AddWithValue("silos", NpgsqlDbType.Array | NpgsqlDbType.Text,
            siloAddresses.Select(s => s.ToParsableString()).ToArray());
        await command.ExecuteNonQueryAsync();
    }

    private async Task<GrainAddress> Enters(GrainAddress address, GrainAddress? previousAddress)
    {
        string grain = address.GrainId.ToString();
        await using var connection = (NpgsqlConnection)await connections.Open(CancellationToken.None);
        while (true)
        {
            await using var batch = new NpgsqlBatch(connection);
            if (hold.First is { } standing)
            {
                batch.BatchCommands.Add(Command(standing.Sql, standing.Parameters));
            }

            batch.BatchCommands.Add(Command(Enter, ("grain", grain), ("silo", Silo(address)),
                ("activation", address.ActivationId.ToParsableString()), ("version", address.MembershipVersion.Value),
                ("previous", previousAddress?.ActivationId.ToParsableString() ?? "")));
            batch.BatchCommands.Add(Command(Find, ("grain", grain)));
            await using var reader = await batch.ExecuteReaderAsync();
            // Of several statements the reader shows those that answer rows: the last is ours.
            GrainAddress? found = null;
            do
            {
                found = reader.FieldCount == 3 && await reader.ReadAsync() ? Read(address.GrainId, reader) : null;
            }
            while (await reader.NextResultAsync());

            // Null: it was another's, who let go just then.
            if (found is not null)
            {
                return found;
            }
        }
    }

    private static string Silo(GrainAddress address) => address.SiloAddress?.ToParsableString()
        ?? throw new ArgumentException("an activation is registered by the silo that has it", nameof(address));

    private static GrainAddress Read(GrainId grain, NpgsqlDataReader reader) => new()
    {
        GrainId = grain,
        SiloAddress = SiloAddress.FromParsableString(reader.GetString(0)),
        ActivationId = ActivationId.FromParsableString(reader.GetString(1)),
        MembershipVersion = new MembershipVersion(reader.GetInt64(2)),
    };

    private static NpgsqlBatchCommand Command(string sql, params (string Name, object Value)[] parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        return command;
    }
}
