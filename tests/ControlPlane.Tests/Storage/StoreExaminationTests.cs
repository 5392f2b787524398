using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Doctor;
using Npgsql;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>
/// What `dsops doctor` sees of a database, on both kinds, without a change to it. A second on the server that this process has anyway.
/// </summary>
public sealed class StoreExaminationTests(PrivatePostgres postgres)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(DatabaseKind.Sqlite)]
    [InlineData(DatabaseKind.Postgres)]
    public async Task A_new_database_is_empty_and_one_with_tables_has_those_of_this_program(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres, migrate: false);
        var (empty, none, _) = await Look(database.Database);
        Assert.Equal((kind == DatabaseKind.Sqlite, 0, null, null), (empty.NotMade, empty.Applied, none, empty.Trouble));
        var found = await StorageHosting.Prepare(database.Database, Cancellation);
        var (made, identity, knowsRuns) = await Look(database.Database);
        Assert.Equal((found.Identity, false), (identity, knowsRuns));
        Assert.True(made.Applied > 0 && made.Newer.IsEmpty && made.Pending.IsEmpty && made.Foreign.IsEmpty);
        Assert.All(DatabaseCheck.Of(made, several: false, ours: false), f => Assert.Equal(FindingLevel.Ok, f.Level));
    }

    [Fact]
    public async Task A_change_of_a_newer_program_somebody_elses_table_a_missing_right_and_a_clock_are_seen()
    {
        var cancellation = Cancellation;
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await using var source = NpgsqlDataSource.Create(((OpsDatabase.Postgres)database.Database).ConnectionString);
        await Do(source, "INSERT INTO \"__EFMigrationsHistory\" VALUES ('20990101000000_Newer', '10')");
        Assert.Equal(["20990101000000_Newer"], (await Look(database.Database)).Facts.Newer);
        await Do(source, "DROP TABLE \"__EFMigrationsHistory\"");
        Assert.Contains("run", (await Look(database.Database)).Facts.Foreign);

        // A server whose clock is five minutes ahead, and where a guest may make nothing.
        await Do(source, "CREATE SCHEMA ahead; CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
            + "'SELECT pg_catalog.clock_timestamp() + interval ''5 min'''; CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA ahead TO guest");
        var parts = new NpgsqlConnectionStringBuilder(source.ConnectionString) { Username = "guest", SearchPath = "ahead,pg_catalog" };
        var seen = (await Look(new OpsDatabase.Postgres(parts.ConnectionString))).Facts;
        Assert.Equal((false, "guest", "ahead"), (seen.CanCreate, seen.User, seen.Schema));
        Assert.InRange(seen.Clock!.Ahead, TimeSpan.FromMinutes(5) - seen.Clock.Uncertain, TimeSpan.FromMinutes(5) + seen.Clock.Uncertain);
        parts.Database = "nowhere";
        Assert.Contains("no such database", (await Look(new OpsDatabase.Postgres(parts.ConnectionString))).Facts.Trouble!.Why,
            StringComparison.Ordinal);

        async Task Do(NpgsqlDataSource on, string statement)
        {
            await using var command = on.CreateCommand(statement);
            await command.ExecuteNonQueryAsync(cancellation);
        }
    }

    [Fact]
    public async Task Who_works_on_it_is_seen_by_the_lock_and_named_by_the_row()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        Assert.Null((await Look(database.Database)).Facts.Holder);
        await using var hold = await PostgresHold.Take(
            (OpsDatabase.Postgres)database.Database, "on host a", TimeProvider.System, Cancellation);
        Assert.Equal("on host a", (await Look(database.Database)).Facts.Holder);
    }

    private static Task<(DatabaseFacts Facts, string? Identity, bool KnowsRuns)> Look(OpsDatabase database) =>
        StoreExamination.Run(database, TimeProvider.System, Cancellation);
}
