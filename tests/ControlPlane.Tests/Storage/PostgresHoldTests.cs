using DeepSeekOps.ControlPlane.Storage;
using Npgsql;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>One control plane on a PostgreSQL database, also when the server loses the connection that says so.</summary>
public sealed class PostgresHoldTests(PrivatePostgres postgres)
{
    [Fact]
    public async Task The_second_is_refused_with_host_and_folder_of_the_first_and_may_come_when_that_has_ended()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await Named(database);
        var first = await Take(database, "on host a, data directory /data/a");
        var refused = await Assert.ThrowsAsync<StoreHeldException>(() => Take(database, "on host b"));
        Assert.Contains("on host a, data directory /data/a", refused.Message, StringComparison.Ordinal);
        await first.DisposeAsync();
        await (await Take(database, "on host b")).DisposeAsync();
    }

    [Fact]
    public async Task A_lock_that_the_server_lost_is_taken_again_or_it_is_said_who_took_it()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await Named(database);
        await using var first = await Take(database, "on host a");
        await EndTheHoldsConnection(database);
        await UntilLooked(first);
        Assert.Null(first.Trouble);
        await Assert.ThrowsAsync<StoreHeldException>(() => Take(database, "on host b"));

        await EndTheHoldsConnection(database);
        await using var second = await Take(database, "on host b");
        await UntilLooked(first);
        Assert.Contains("on host b", first.Trouble!.Why, StringComparison.Ordinal);
        await second.DisposeAsync();
        await UntilLooked(first);
        Assert.Null(first.Trouble);
    }

    /// <summary>The first look finds the connection broken, the second opens another.</summary>
    private static async Task UntilLooked(PostgresHold hold)
    {
        await hold.Look(TestContext.Current.CancellationToken);
        await hold.Look(TestContext.Current.CancellationToken);
    }

    private static async Task Named(TestDatabase database)
    {
        await using var connections = new OpsConnections(database.Database);
        await StoreIdentity.Read(connections, TestContext.Current.CancellationToken);
    }

    private static Task<PostgresHold> Take(TestDatabase database, string holder) =>
        PostgresHold.Take((OpsDatabase.Postgres)database.Database, holder, TimeProvider.System, TestContext.Current.CancellationToken);

    private static async Task EndTheHoldsConnection(TestDatabase database)
    {
        await using var connection = new NpgsqlConnection(((OpsDatabase.Postgres)database.Database).ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var end = new NpgsqlCommand(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name LIKE 'dsops (holds%' AND "
                + "datname = current_database()", connection);
        await end.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }
}
