using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Health;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>A database that cannot be written is found out and said, whatever keeps it from being written.</summary>
public sealed class StoreWatchTests(PrivatePostgres postgres)
{
    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task A_probe_writes_where_nobody_else_does(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        var (probe, watch) = (Probe(room), room.GetRequiredService<StoreWatch>());
        Assert.True(watch.QuietFor(TimeSpan.Zero));
        await probe.Beat();
        Assert.False(watch.QuietFor(TimeSpan.FromHours(1)));
        Assert.IsType<StoreState.Writable>(watch.Now);
    }

    [Theory]
    [InlineData("deleted", "it was deleted")]
    [InlineData("replaced", "another file was put in its place")]
    [InlineData("moved", "it was moved to")]
    public async Task A_file_that_is_deleted_or_replaced_or_moved_while_it_is_open_is_told_and_not_written_any_more(string what,
        string words)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux tells the name of an open file");
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        var (probe, watch) = (Probe(room), room.GetRequiredService<StoreWatch>());
        await probe.Beat();
        probe.Look();
        string path = ((OpsDatabase.Sqlite)database.Database).Path;
        string aside = path + ".aside";
        switch (what)
        {
            case "deleted":
                File.Delete(path);
                break;
            case "replaced":
                File.WriteAllText(aside, "");
                File.Move(aside, path, overwrite: true);
                break;
            default:
                File.Move(path, aside);
                break;
        }

        probe.Look();
        Assert.Contains(words, Assert.IsType<StoreState.Unwritable>(watch.Now).Sentence, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StoreUnwritableException>(() =>
            room.GetRequiredService<WriteLanes>()
                .Run("", [new Statement("UPDATE store SET beats = 0")], TestContext.Current.CancellationToken));
        if (what == "moved")
        {
            File.Move(aside, path);
            probe.Look();
            await probe.Beat();
            Assert.IsType<StoreState.Writable>(watch.Now);
        }
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task Another_database_in_the_place_of_the_first_is_told(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        var probe = Probe(room);
        await probe.Beat();
        await room.GetRequiredService<WriteLanes>()
            .Run("", [new Statement("UPDATE store SET identity = 'other'")], TestContext.Current.CancellationToken);
        await probe.Beat();
        probe.Look();
        Assert.Contains("another database", Assert.IsType<StoreState.Unwritable>(room.GetRequiredService<StoreWatch>().Now).Sentence,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_statement_that_is_wrong_is_not_the_databases_trouble()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        var room = database.Room();
        await Assert.ThrowsAsync<SqliteException>(() =>
            room.GetRequiredService<WriteLanes>()
                .Run("", [new Statement("UPDATE no_such_table SET x = 1")], TestContext.Current.CancellationToken));
        Assert.IsType<StoreState.Writable>(room.GetRequiredService<StoreWatch>().Now);
    }

    [Theory]
    [InlineData(13, "the disk is full under")]
    [InlineData(5, "keeps")]
    [InlineData(8, "is read-only")]
    [InlineData(11, "is damaged (malformed)")]
    [InlineData(26, "is not a database")]
    [InlineData(10, "reading or writing")]
    public void The_words_and_the_fix_fit_the_cause(int code, string words)
    {
        var trouble =
            StoreFailure.Of(new SqliteException($"SQLite Error {code}: 'malformed'.", code), new OpsDatabase.Sqlite("/tmp/dsops.db"));
        Assert.Contains(words, trouble!.Why, StringComparison.Ordinal);
        Assert.Equal(code == 13, trouble.Fix.Contains("Free space", StringComparison.Ordinal));
        // That is for a control plane that runs: a verb or a start that failed has to be made again.
        Assert.DoesNotContain("by itself", trouble.Fix, StringComparison.Ordinal);
        Assert.Equal(code is 13 or 5 or 8, trouble.FixWhileRunning.EndsWith("; then everything goes on by itself.",
            StringComparison.Ordinal));
        Assert.DoesNotMatch(@"\.\s*\z", trouble.Why);
    }

    [Theory]
    [InlineData("53100", "the disk of PostgreSQL at db:5432/ops is full")]
    [InlineData("57P03", "is starting or stopping")]
    [InlineData("25006", "is read-only")]
    [InlineData("23505", null)]
    public void Of_postgresql_too_and_a_duplicate_key_is_none_of_its_troubles(string state, string? words)
    {
        var trouble =
            StoreFailure.Of(new PostgresException("no.", "FATAL", "FATAL", state),
                new OpsDatabase.Postgres("Host=db;Database=ops;Password=secret"));
        Assert.Equal(words is null, trouble is null);
        Assert.Contains(words ?? "", trouble?.Why ?? "", StringComparison.Ordinal);
        Assert.DoesNotContain("secret", $"{trouble}", StringComparison.Ordinal);
    }

    private static StoreProbe Probe(ServiceProvider room) => room.GetServices<IHostedService>().OfType<StoreProbe>().Single();
}
