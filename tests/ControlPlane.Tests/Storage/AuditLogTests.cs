using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.ControlPlane.Storage.Orleans;
using DeepSeekOps.Decisions.Audit;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Runtime;
using Orleans.Storage;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>The audit log on both databases. Costs two seconds of a core, most of them databases that are made.</summary>
public sealed class AuditLogTests(PrivatePostgres postgres)
{
    private static readonly AuditSeal Seal = new([1, 2, 3], "key");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task An_act_is_written_with_the_state_that_it_led_to_or_not_at_all(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = Room(database);
        var (audit, storage) = (room.GetRequiredService<AuditLog>(), room.GetRequiredService<OpsGrainStorage>());
        var state = new GrainState<Changed>(new Changed("paused", [Act("1", "pause-run")]));
        await storage.WriteStateAsync("run", GrainId.Create("run", "mini"), state);
        state.State = new Changed("paused again", [Act("1", "pause-run")]);
        await storage.WriteStateAsync("run", GrainId.Create("run", "mini"), state);
        // Another activation wrote meanwhile: what it was asked for is not done, and is not said to be.
        var stale = new GrainState<Changed>(new Changed("cancelled", [Act("2", "cancel-run")])) { ETag = "1", RecordExists = true };
        await Assert.ThrowsAsync<InconsistentStateException>(
            () => storage.WriteStateAsync("run", GrainId.Create("run", "mini"), stale));
        var line = Assert.Single(await audit.Newest(null, null, null, 10, Cancellation));
        Assert.Equal((1L, "pause-run", "ann", "because"), (line.Number, line.Act.Act, line.Act.Who, line.Act.Why));
        var read = new GrainState<Changed>(new Changed("", []));
        await storage.ReadStateAsync("run", GrainId.Create("run", "mini"), read);
        Assert.Equal("paused again", read.State!.Text);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task All_who_write_at_once_make_one_chain_that_holds(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        // As two silos: each with lanes of its own. SQLite has one process, whose lane both use.
        AuditLog[] silos = kind == DatabaseKind.Sqlite ? [.. Enumerable.Repeat(Room(database).GetRequiredService<AuditLog>(), 2)]
            : [Room(database).GetRequiredService<AuditLog>(), Room(database).GetRequiredService<AuditLog>()];
        await Task.WhenAll(Enumerable.Range(0, 60).Select(
            i => silos[i % 2].Append([Act($"{i}a", "hold-run"), Act($"{i}b", "placed", i % 3 == 0 ? "other" : "mini")], Cancellation)));
        var verdict = await silos[0].Verify(null, Cancellation);
        Assert.Equal((120, 0, 120), (verdict.Lines, verdict.Found, verdict.Newest));
        Assert.Equal(20, (await silos[1].Newest("other", null, null, 1_000, Cancellation)).Count);
        Assert.Equal([100L, 99, 98], (await silos[1].Newest(null, null, 101, 3, Cancellation)).Select(l => l.Number));
        Assert.Empty(await silos[1].Newest(null, Act("", "").At.AddDays(1), null, 10, Cancellation));

        string hash = Convert.ToHexStringLower(verdict.NewestHash)[..16];
        await silos[0].Append([Act("later", "release-run")], Cancellation);
        Assert.Equal(0, (await silos[0].Verify((120, hash), Cancellation)).Found);
        Assert.Contains("put back", (await silos[0].Verify((119, hash), Cancellation)).Findings[0].Words, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_line_that_is_changed_in_the_database_is_named(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = Room(database);
        var audit = room.GetRequiredService<AuditLog>();
        await audit.Append([.. Enumerable.Range(1, 8).Select(i => Act($"{i}", "cordon-node"))], Cancellation);
        await Execute(room, "UPDATE audit SET body = replace(body, 'ann', 'bob') WHERE number = 5");
        await Execute(room, "UPDATE audit SET run = 'other' WHERE number = 7");
        Assert.Equal([5L, 7], (await audit.Verify(null, Cancellation)).Findings.Select(f => f.Line));
        await Execute(room, "DELETE FROM audit WHERE number = 3");
        Assert.Equal([3L, 5, 7], (await audit.Verify(null, Cancellation)).Findings.Select(f => f.Line));
    }

    private static ServiceProvider Room(TestDatabase database) =>
        database.Room(services => services.AddSingleton(Seal).AddSingleton<OpsGrainStorage>());

    private static AuditAct Act(string id, string act, string run = "mini") => new(id,
        new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), "ann", "owner's token", "cli", act, run, run, "because", AuditAct.Done);

    private static async Task Execute(ServiceProvider room, string sql)
    {
        await using var connection = await room.GetRequiredService<OpsConnections>().Open(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        Assert.Equal(1, await command.ExecuteNonQueryAsync(Cancellation));
    }

    private sealed record Changed(string Text, [property: System.Text.Json.Serialization.JsonIgnore] ImmutableArray<AuditAct> Acts)
        : IWithActs;
}
