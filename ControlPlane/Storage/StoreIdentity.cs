using System.Globalization;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>Which database this is: a word that is made with its tables and never changes. Data directories remember it.</summary>
internal static class StoreIdentity
{
    /// <summary>The smallest write there is; it changes no row of another database.</summary>
    public const string Beat = "UPDATE store SET beats = beats + 1 WHERE id = 1 AND identity = @identity";

    /// <summary>Made where there is none yet.</summary>
    public static async Task<string> Read(OpsConnections connections, CancellationToken cancellation)
    {
        await using var connection = await connections.Open(cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = "INSERT INTO store (id, identity, beats, holder) VALUES (1, @identity, 0, '') ON CONFLICT (id) DO NOTHING";
        command.Add("identity", Guid.CreateVersion7().ToString("N"));
        await command.ExecuteNonQueryAsync(cancellation);
        await using var read = connection.CreateCommand();
        read.CommandText = "SELECT identity FROM store WHERE id = 1";
        return Convert.ToString(await read.ExecuteScalarAsync(cancellation), CultureInfo.InvariantCulture) ?? "";
    }

    public static async Task<string> Renew(OpsConnections connections, CancellationToken cancellation)
    {
        await using var connection = await connections.Open(cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = "UPDATE store SET identity = @identity WHERE id = 1";
        command.Add("identity", Guid.CreateVersion7().ToString("N"));
        await command.ExecuteNonQueryAsync(cancellation);
        return await Read(connections, cancellation);
    }
}
