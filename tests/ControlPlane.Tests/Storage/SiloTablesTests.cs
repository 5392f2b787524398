using System.Net;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Orleans;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Runtime;
using Orleans.Storage;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>Orleans' membership, reminders and grain state, on both databases.</summary>
public sealed class SiloTablesTests(PrivatePostgres postgres)
{
    private static readonly GrainId Grain = GrainId.Create("run", "mini");

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task Of_eight_racing_silos_exactly_one_joins_at_each_version(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var table = new OpsMembership(database.Room().GetRequiredService<OpsConnections>());
        await table.InitializeMembershipTable(true);
        for (int round = 0; round < 10; round++)
        {
            var next = (await table.ReadAll()).Version.Next();
            bool[] joined =
                await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => table.InsertRow(Silo((round * 8) + i), next))));
            Assert.Single(joined, won => won);
        }

        var all = await table.ReadAll();
        Assert.Equal((10, 10), (all.Members.Count, all.Version.Version));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_silos_row_is_read_as_it_was_written_and_an_old_one_is_refused(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var table = new OpsMembership(database.Room().GetRequiredService<OpsConnections>());
        await table.InitializeMembershipTable(true);
        var silo = Silo(1);
        silo.AddSuspector(Silo(2).SiloAddress, new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        Assert.True(await table.InsertRow(silo, (await table.ReadAll()).Version.Next()));

        var read = await table.ReadRow(silo.SiloAddress);
        var (member, etag) = Assert.Single(read.Members);
        Assert.Equal(silo.ToFullString(), member.ToFullString());
        member.Status = SiloStatus.Dead;
        Assert.True(await table.UpdateRow(member, etag, read.Version.Next()));
        Assert.False(await table.UpdateRow(member, etag, (await table.ReadAll()).Version.Next()));
        Assert.Equal(SiloStatus.Dead, Assert.Single((await table.ReadAll()).Members).Item1.Status);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_range_of_the_ring_holds_each_reminder_once_also_where_it_wraps(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        var table = new OpsReminders(room.GetRequiredService<WriteLanes>(), room.GetRequiredService<OpsConnections>());
        var grains = Enumerable.Range(0, 50).Select(i => GrainId.Create("stage", $"mini/{i}")).ToList();
        foreach (var grain in grains)
        {
            await table.UpsertRow(Reminder(grain));
        }

        foreach (var (begin, end) in new[] { (0u, uint.MaxValue / 3), (uint.MaxValue / 3, uint.MaxValue / 2), (uint.MaxValue / 2, 0u),
            (7u, 7u) })
        {
            var wanted = grains.Where(g => begin < end
                ? g.GetUniformHashCode() > begin && g.GetUniformHashCode() <= end
                : g.GetUniformHashCode() > begin || g.GetUniformHashCode() <= end);
            Assert.Equal(wanted.Order(), (await table.ReadRows(begin, end)).Reminders.Select(r => r.GrainId).Order());
        }
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_reminder_is_removed_only_by_its_newest_tag(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        var table = new OpsReminders(room.GetRequiredService<WriteLanes>(), room.GetRequiredService<OpsConnections>());
        string older = (await table.UpsertRow(Reminder(Grain)))!;
        string newer = (await table.UpsertRow(Reminder(Grain)))!;
        Assert.False(await table.RemoveRow(Grain, "wake", older));
        Assert.Equal((newer, TimeSpan.FromMinutes(1)),
            ((await table.ReadRow(Grain, "wake"))!.ETag, (await table.ReadRow(Grain, "wake"))!.Period));
        Assert.True(await table.RemoveRow(Grain, "wake", newer));
        Assert.Null(await table.ReadRow(Grain, "wake"));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_new_process_reads_the_state_and_an_older_activation_cannot_write(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var first = new GrainState<Holder> { State = new Holder { Text = "placed" } };
        await Storage(database).WriteStateAsync("state", Grain, first);
        var second = new GrainState<Holder> { State = new Holder() };
        await Storage(database).ReadStateAsync("state", Grain, second);
        Assert.Equal(("placed", true), (second.State.Text, second.RecordExists));

        second.State.Text = "running";
        await Storage(database).WriteStateAsync("state", Grain, second);
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage(database).WriteStateAsync("state", Grain, first));
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage(database).ClearStateAsync("state", Grain, first));
        await Storage(database).ClearStateAsync("state", Grain, second);
        await Storage(database).ReadStateAsync("state", Grain, second);
        Assert.False(second.RecordExists);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_conflict_of_one_grain_does_not_stop_its_neighbours_in_the_group(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var storage = Storage(database);
        await storage.WriteStateAsync("state", Grain, new GrainState<Holder> { State = new Holder() });
        var conflict = storage.WriteStateAsync("state", Grain, new GrainState<Holder> { State = new Holder() });
        await Task.WhenAll(Enumerable.Range(0, 200).Select(i =>
            storage.WriteStateAsync("state", GrainId.Create("run", $"neighbour-{i}"),
                new GrainState<Holder> { State = new Holder { Text = "kept" } })));
        await Assert.ThrowsAsync<InconsistentStateException>(() => conflict);
        var last = new GrainState<Holder> { State = new Holder() };
        await Storage(database).ReadStateAsync("state", GrainId.Create("run", "neighbour-199"), last);
        Assert.Equal("kept", last.State.Text);
    }

    private static OpsGrainStorage Storage(TestDatabase database)
    {
        var room = database.Room();
        return new OpsGrainStorage(room.GetRequiredService<WriteLanes>(), room.GetRequiredService<OpsConnections>());
    }

    private static ReminderEntry Reminder(GrainId grain) => new()
    {
        GrainId = grain, ReminderName = "wake", StartAt = new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc),
        Period = TimeSpan.FromMinutes(1),
    };

    private static MembershipEntry Silo(int number) => new()
    {
        SiloAddress = SiloAddress.New(IPAddress.Loopback, 10_000 + number, 1), Status = SiloStatus.Active, HostName = "host",
        SiloName = $"silo-{number}",
        ProxyPort = 30_000, StartTime = new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc),
        IAmAliveTime = new DateTime(2026, 1, 1, 0, 1, 0, DateTimeKind.Utc),
    };

    internal sealed class Holder
    {
        public string Text { get; set; } = "";
    }
}
