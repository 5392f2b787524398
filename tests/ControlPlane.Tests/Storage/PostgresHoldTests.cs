using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Orleans;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Orleans;
using Orleans.Runtime;
using Orleans.Storage;
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
        // A server ends a session some time after its client has said good-bye: it is looked each second.
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (first.Trouble is not null)
        {
            await first.Look(patience.Token);
        }
    }

    [Fact]
    public async Task A_deputy_waits_says_for_whom_and_goes_on_in_its_place_when_that_one_ends()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await Named(database);
        var first = await Take(database, "on host a");
        var told = new TaskCompletionSource<string>();
        var deputy = Await(database, "on host b", who => told.TrySetResult(who), TimeSpan.FromHours(1));
        Assert.Equal("on host a", await told.Task);
        Assert.False(deputy.IsCompleted);
        await first.DisposeAsync();
        await using var second = await deputy;
        var refused = await Assert.ThrowsAsync<StoreHeldException>(() => Take(database, "on host c"));
        Assert.Contains("on host b", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_hangs_is_ended_by_its_deputy_and_hears_of_it_when_it_goes_on()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await Named(database);
        // As a process that is stopped: it does not look.
        await using var hung = await Take(database, "on host a");
        await using var deputy = await Await(database, "on host b", _ => { }, TimeSpan.FromSeconds(1));
        Assert.False(hung.Taken.IsCompleted);
        await UntilLooked(hung);
        Assert.Equal("on host b", await hung.Taken);
        Assert.Null(deputy.Trouble);
    }

    [Fact]
    public async Task One_that_starts_slowly_is_heard_of_from_the_moment_that_it_holds_and_is_not_taken_for_hung()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await Named(database);
        var starting = await Take(database, "on host a");
        starting.Begin(TimeProvider.System);
        using var stop = new CancellationTokenSource();
        var deputy = PostgresHold.Await(
            (OpsDatabase.Postgres)database.Database, "on host b", _ => { }, TimeProvider.System, stop.Token, TimeSpan.FromMinutes(1));
        // Silent for half a second, and then heard of: nobody but its own pulse has said anything.
        await UntilIdle(database, seconds => seconds >= 0.5);
        await UntilIdle(database, seconds => seconds < 0.4);
        Assert.False(deputy.IsCompleted);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => deputy);
        Assert.False(starting.Taken.IsCompleted);
        await starting.DisposeAsync();
    }

    /// <summary>Asks PostgreSQL how long the holder has said nothing.</summary>
    private static async Task UntilIdle(TestDatabase database, Func<double, bool> holds)
    {
        await using var connection = new NpgsqlConnection(((OpsDatabase.Postgres)database.Database).ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var ask = new NpgsqlCommand(
            "SELECT extract(epoch FROM clock_timestamp() - a.state_change)::float8 FROM pg_locks l "
                + "JOIN pg_stat_activity a ON a.pid = l.pid "
                + "WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()", connection);
        using var beat = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!holds(Convert.ToDouble(
            await ask.ExecuteScalarAsync(TestContext.Current.CancellationToken), System.Globalization.CultureInfo.InvariantCulture)))
        {
            await beat.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task What_a_process_writes_after_another_one_has_taken_over_is_refused_by_the_database_itself()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await Named(database);
        await using var hung = await Take(database, "on host a");
        var storage = Storage(database, hung);
        var state = new GrainState<Kept>(new Kept("before"));
        await storage.WriteStateAsync("kept", GrainId.Create("kept", "one"), state);
        await using var deputy = await Await(database, "on host b", _ => { }, TimeSpan.FromSeconds(1));
        state.State = new Kept("after");
        await Assert.ThrowsAsync<InconsistentStateException>(
            () => storage.WriteStateAsync("kept", GrainId.Create("kept", "one"), state));
        await Assert.ThrowsAsync<InconsistentStateException>(
            () => storage.WriteStateAsync("kept", GrainId.Create("kept", "two"), new GrainState<Kept>(new Kept("new"))));
        var own = Storage(database, deputy);
        var read = new GrainState<Kept>(new Kept(""));
        await own.ReadStateAsync("kept", GrainId.Create("kept", "one"), read);
        Assert.Equal("before", read.State!.Text);
        read.State = new Kept("by the deputy");
        await own.WriteStateAsync("kept", GrainId.Create("kept", "one"), read);
    }

    private static OpsGrainStorage Storage(TestDatabase database, PostgresHold hold)
    {
        var room = database.Room();
        return new OpsGrainStorage(room.GetRequiredService<WriteLanes>(), room.GetRequiredService<OpsConnections>(), hold);
    }

    private sealed record Kept(string Text);

    [Fact]
    public async Task A_deputy_may_be_the_first_on_a_database_that_has_no_tables_yet()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres, migrate: false);
        await using var first = await Await(database, "on host a", _ => { }, TimeSpan.FromHours(1));
        await StorageHosting.Prepare(database.Database, TestContext.Current.CancellationToken);
        await first.Sign(TestContext.Current.CancellationToken);
        var refused = await Assert.ThrowsAsync<StoreHeldException>(() => Take(database, "on host b"));
        Assert.Contains("on host a", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_deputy_that_is_stopped_while_it_waits_leaves_nothing_that_holds_anything()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await Named(database);
        var first = await Take(database, "on host a");
        using var stop = new CancellationTokenSource();
        var deputy = PostgresHold.Await(
            (OpsDatabase.Postgres)database.Database, "on host b", _ => stop.Cancel(), TimeProvider.System, stop.Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => deputy);
        await first.DisposeAsync();
        await (await Take(database, "on host c")).DisposeAsync();
    }

    private static Task<PostgresHold> Await(TestDatabase database, string holder, Action<string> waiting, TimeSpan hungAfter) =>
        PostgresHold.Await((OpsDatabase.Postgres)database.Database, holder, waiting, TimeProvider.System,
            TestContext.Current.CancellationToken, hungAfter);

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
