using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Audit;
using Orleans.Runtime;
using Orleans.Storage;

namespace DeepSeekOps.ControlPlane.Storage.Orleans;

/// <summary>
/// Grain state in the ledger's database by group commit. A state is JSON, readable by people, one row per grain; its version is the ETag.
/// What a state was changed by goes into the audit log with it.
/// </summary>
public sealed class OpsGrainStorage(WriteLanes lanes, OpsConnections connections, PostgresHold? hold = null) : IGrainStorage
{
    /// <summary>
    /// Of a process that was stopped and goes on, writes may be on their way before it hears that another one has taken over: the database
    /// itself takes them from its holder alone.
    /// </summary>
    private const string OfTheHolder = "(SELECT holder FROM store WHERE id = 1) = @holder";

    private const string InsertHeld = """
        INSERT INTO grain_state (state_name, grain_id, version, payload) SELECT @name, @grain, 1, @payload
        WHERE (SELECT holder FROM store WHERE id = 1) = @holder ON CONFLICT (state_name, grain_id) DO NOTHING
        """;

    private const string Insert = """
        INSERT INTO grain_state (state_name, grain_id, version, payload) VALUES (@name, @grain, 1, @payload)
        ON CONFLICT (state_name, grain_id) DO NOTHING
        """;

    private const string Update =
        "UPDATE grain_state SET version = version + 1, payload = @payload WHERE state_name = @name AND grain_id = "
            + "@grain AND version = @version";

    private const string Delete = "DELETE FROM grain_state WHERE state_name = @name AND grain_id = @grain AND version = @version";

    public async Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        await using var connection = await connections.Open(CancellationToken.None);
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT version, payload FROM grain_state WHERE state_name = @name AND grain_id = @grain";
        command.Add("name", stateName).Add("grain", grainId.ToString());
        await using var reader = await command.ExecuteReaderAsync();
        if (!await reader.ReadAsync())
        {
            grainState.RecordExists = false;
            grainState.ETag = null;
            return;
        }

        grainState.ETag = reader.GetInt64(0).ToString(System.Globalization.CultureInfo.InvariantCulture);
        grainState.State = JsonSerializer.Deserialize<T>((byte[])reader.GetValue(1), LedgerJson.Options)!;
        grainState.RecordExists = true;
    }

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        string grain = grainId.ToString();
        byte[] payload = JsonSerializer.SerializeToUtf8Bytes(grainState.State, LedgerJson.Options);
        long version = VersionOf(grainState.ETag);
        var statement = version == 0
            ? Held(Insert, InsertHeld, ("name", stateName), ("grain", grain), ("payload", payload))
            : Held(Update, $"{Update} AND {OfTheHolder}", ("name", stateName), ("grain", grain), ("payload", payload),
                ("version", version));
        ImmutableArray<AuditAct> acts = grainState.State is IWithActs with ? with.Acts : [];
        int[] rows = await lanes.Run(grain, [statement with { Acts = acts }], CancellationToken.None);
        Demand(rows[0], stateName, grain, grainState.ETag);
        grainState.ETag = (version + 1).ToString(System.Globalization.CultureInfo.InvariantCulture);
        grainState.RecordExists = true;
    }

    public async Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        string grain = grainId.ToString();
        if (VersionOf(grainState.ETag) is var version and > 0)
        {
            int[] rows = await lanes.Run(grain,
                [Held(Delete, $"{Delete} AND {OfTheHolder}", ("name", stateName), ("grain", grain), ("version", version))],
                CancellationToken.None);
            Demand(rows[0], stateName, grain, grainState.ETag);
        }

        grainState.ETag = null;
        grainState.RecordExists = false;
        grainState.State = Activator.CreateInstance<T>();
    }

    private Statement Held(string sql, string held, params (string Name, object Value)[] parameters) =>
        hold is null ? new Statement(sql, parameters) : new Statement(held, [.. parameters, ("holder", hold.Holder)]);

    private static long VersionOf(string? etag) =>
        etag is null ? 0 : long.Parse(etag, System.Globalization.CultureInfo.InvariantCulture);

    private static void Demand(int rows, string stateName, string grain, string? etag)
    {
        if (rows == 0)
        {
            throw new InconsistentStateException($"{stateName} of {grain} was written by another activation since version "
                + $"{etag ?? "0"}, or another control plane has taken over.", "", etag ?? "");
        }
    }
}
