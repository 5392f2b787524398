using System.Net;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Orleans;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Orleans;
using Orleans.Runtime;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>Several silos on one PostgreSQL: who may be there together, what the dead may not do, and what they tell each other.</summary>
public sealed class SilosTests(PrivatePostgres postgres)
{
    private const string Name = "silos of dsops 1, key abc";

    private static readonly StageId Stage = new("mini", "pretrain");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Silos_of_one_name_hold_it_together_and_whoever_else_comes_waits_for_all_of_them()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        var first = await Member(database, 1);
        var second = await Join(database, Name);
        Assert.False(second.Alone);
        await second.Share(Cancellation);
        var refused = await Assert.ThrowsAsync<StoreHeldException>(() => PostgresHold.Take(
            (OpsDatabase.Postgres)database.Database, "alone on host a", TimeProvider.System, Cancellation));
        Assert.Contains(Name, refused.Message, StringComparison.Ordinal);

        var told = new TaskCompletionSource<string>();
        var another = Join(database, "silos of dsops 2, key abc", told);
        Assert.Equal(Name, await told.Task);
        await first.DisposeAsync();
        Assert.False(another.IsCompleted);
        await second.DisposeAsync();
        await using var heir = await another;
        Assert.True(heir.Alone);
    }

    [Fact]
    public async Task Nobody_joins_a_silo_that_is_alone_before_it_has_made_the_database_ready()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await using var first = await Join(database, Name);
        Assert.True(first.Alone);
        var told = new TaskCompletionSource<string>();
        var next = Join(database, Name, told);
        await told.Task;
        Assert.False(next.IsCompleted);
        await Sign(database, first);
        await using var second = await next;
        Assert.False(second.Alone);
    }

    [Fact]
    public async Task What_a_silo_writes_after_it_was_called_dead_is_refused_and_two_silos_keep_each_sample_of_a_run_once()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await using var first = await Member(database, 1, new FakeTimeProvider());
        await using var second = await Member(database, 2, new FakeTimeProvider());
        var (dying, heir) = (Metrics(database, first), Metrics(database, second));
        await Write(dying, 1, 6);
        await Call(database, 1, SiloStatus.Dead);
        // It has not heard of it: it was stopped in the middle of these.
        var refused = await Assert.ThrowsAsync<StoreUnwritableException>(() => Write(dying, 7, 8));
        Assert.Contains("called this one dead", refused.Message, StringComparison.Ordinal);

        // The agent sends again what it was not told to be kept.
        await Write(heir, 5, 12);
        var read = await database.Room().GetRequiredService<SeriesQueries>().Buckets(
            new SeriesQuery("mini", "pretrain", ["loss"], null, null, 400, SeriesAxis.Step, false, 0), Cancellation);
        Assert.Equal(Enumerable.Range(1, 12).Select(s => (double)s), read.Picture.X);
        Assert.Equal(Enumerable.Range(1, 12).Select(s => (float)s), Assert.Single(read.Picture.Lines).Last);

        Assert.False(first.Taken.IsCompleted);
        await first.Look(Cancellation);
        Assert.Contains("called this one dead", await first.Taken, StringComparison.Ordinal);
        Assert.False(first.Speaks);
        Assert.True(second.Speaks);
    }

    [Fact]
    public async Task A_silo_that_was_stopped_says_nothing_until_it_has_heard_that_it_is_still_one_of_them()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        var clock = new FakeTimeProvider();
        await using var silo = await Member(database, 1, clock);
        Assert.True(silo.Speaks);
        clock.Advance(PostgresHold.SpeaksFor);
        Assert.False(silo.Speaks);
        await silo.Look(Cancellation);
        Assert.True(silo.Speaks);

        // A look that fails tells nothing: a silo that goes on keeps speaking, and one that was stopped stays silent.
        await EndSessions(database);
        await silo.Look(Cancellation);
        Assert.True(silo.Speaks);
        await silo.Look(Cancellation);
        clock.Advance(PostgresHold.SpeaksFor);
        await EndSessions(database);
        await silo.Look(Cancellation);
        Assert.False(silo.Speaks);
        await silo.Look(Cancellation);
        Assert.True(silo.Speaks);
    }

    [Fact]
    public async Task What_one_silo_writes_and_hears_reaches_the_pages_of_the_other()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        var (here, there) = (await Telling(database), await Telling(database));
        using var page = there.GetRequiredService<LiveSeries>().Subscribe("mini");
        var follows = there.GetRequiredService<ChangeFeed>().Follow("mini", TimeSpan.FromDays(1), Cancellation)
            .GetAsyncEnumerator(Cancellation);
        await follows.MoveNextAsync();
        var frame = page.NextFrame(Cancellation);
        long runs = there.GetRequiredService<ChangeFeed>().RunsRecorded;

        await Write(here.GetRequiredService<MetricWriter>(), 1, 3);
        here.GetRequiredService<ChangeFeed>().RunRecorded("mini");
        Assert.Equal((0, 3), (BitConverter.ToInt32(await frame, 4), BitConverter.ToInt32(await frame, 8)));
        Assert.True(await follows.MoveNextAsync());
        Assert.Equal(runs + 1, there.GetRequiredService<ChangeFeed>().RunsRecorded);

        // More than one notice holds, as after a network that was away.
        var rest = page.NextFrame(Cancellation);
        await Write(here.GetRequiredService<MetricWriter>(), 4, 203);
        for (int seen = 0; seen < 200; rest = seen < 200 ? page.NextFrame(Cancellation) : rest)
        {
            seen += BitConverter.ToInt32(await rest, 8);
            Assert.Equal(0, BitConverter.ToInt32(await rest, 4));
        }

        await follows.DisposeAsync();
        await here.GetRequiredService<SiloTidings>().StopAsync(Cancellation);
        await there.GetRequiredService<SiloTidings>().StopAsync(Cancellation);
    }

    [Fact]
    public async Task A_grain_is_of_the_silo_that_registered_it_first_until_the_table_calls_that_silo_dead()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await using var first = await Member(database, 1);
        await using var second = await Member(database, 2);
        var (one, other) = (Directory(database, first), Directory(database, second));
        var grain = GrainId.Create("stage", "mini/pretrain");
        // Both at once, as survivors do that wake the same runs.
        var (a, b) = (Activation(grain, 1), Activation(grain, 2));
        var answers = await Task.WhenAll(one.Register(a), other.Register(b));
        Assert.Equal(answers[0], answers[1]);
        Assert.Equal(answers[0], await other.Lookup(grain));
        bool firstHas = answers[0]!.Equals(a);
        var (owner, rival, has, wants) = firstHas ? (one, other, a, b) : (other, one, b, a);

        // Whatever the rival has heard of the owner: one that lives keeps what it has.
        await rival.Unregister(has);
        await rival.UnregisterSilos([has.SiloAddress!]);
        Assert.Equal(has, await rival.Register(wants, has));
        // The owner itself begins it anew.
        var again = Activation(grain, firstHas ? 1 : 2);
        Assert.Equal(again, await owner.Register(again, has));

        await Call(database, firstHas ? 1 : 2, SiloStatus.Dead);
        Assert.Null(await rival.Lookup(grain));
        Assert.Equal(wants, await rival.Register(wants));
        await owner.Unregister(again);
        await Assert.ThrowsAsync<StoreUnwritableException>(() => owner.Register(Activation(grain, firstHas ? 1 : 2), wants));
        Assert.Equal(wants, await rival.Lookup(grain));
        await rival.Unregister(wants);
        Assert.Null(await rival.Lookup(grain));
    }

    [Fact]
    public async Task What_the_dead_had_is_forgotten_before_they_are()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await using var first = await Member(database, 1);
        await using var second = await Member(database, 2);
        var (dying, heir) = (Directory(database, first), Directory(database, second));
        GrainId[] grains = [.. Enumerable.Range(1, 3).Select(i => GrainId.Create("run", $"run-{i}"))];
        foreach (var grain in grains)
        {
            await dying.Register(Activation(grain, 1));
        }

        await heir.Register(Activation(GrainId.Create("run", "heirs"), 2));
        await Call(database, 1, SiloStatus.Dead);
        await heir.UnregisterSilos([Address(1), Address(2)]);
        Assert.Equal(1, await Rows(database));

        await new OpsMembership(database.Room().GetRequiredService<OpsConnections>()).CleanupDefunctSiloEntries(DateTimeOffset.MaxValue);
        await Assert.ThrowsAsync<StoreUnwritableException>(() => dying.Register(Activation(grains[0], 1)));
        Assert.Equal(1, await Rows(database));
    }

    [Fact]
    public async Task Silos_hear_of_each_other_by_the_words_that_they_say_to_the_database()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Postgres, postgres);
        await using var first = await Member(database, 1);
        var second = await Member(database, 2);
        string name = Address(2).ToParsableString();
        var before = (await first.Silences([name], Cancellation))[name]!.Value;
        // It hangs: its session is there and says nothing.
        await Eventually(async () => (await first.Silences([name], Cancellation))[name] > before + TimeSpan.FromSeconds(0.2));
        await Eventually(async () =>
        {
            await second.Look(Cancellation);
            return (await first.Silences([name], Cancellation))[name] < before + TimeSpan.FromSeconds(0.2);
        });
        // Its process ends.
        await second.DisposeAsync();
        await Eventually(async () => (await first.Silences([name], Cancellation))[name] is null);
    }

    private static async Task Eventually(Func<Task<bool>> holds)
    {
        while (!await holds())
        {
            await Task.Yield();
        }
    }

    private static async Task EndSessions(TestDatabase database)
    {
        await using var connection = await database.Room().GetRequiredService<OpsConnections>().Open(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            + "AND application_name LIKE 'dsops %'";
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    private static async Task<long> Rows(TestDatabase database)
    {
        await using var connection = await database.Room().GetRequiredService<OpsConnections>().Open(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM activation";
        return (long)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private static OpsDirectory Directory(TestDatabase database, PostgresHold hold) =>
        new(database.Room().GetRequiredService<OpsConnections>(), hold);

    private static GrainAddress Activation(GrainId grain, int silo) => new()
    {
        GrainId = grain, SiloAddress = Address(silo), ActivationId = ActivationId.NewId(), MembershipVersion = new MembershipVersion(7),
    };

    private static async Task<ServiceProvider> Telling(TestDatabase database)
    {
        var room = database.Room(services => services.AddSingleton<SiloTidings>());
        var tidings = room.GetRequiredService<SiloTidings>();
        await tidings.StartAsync(Cancellation);
        await tidings.Listening;
        return room;
    }

    private static MetricWriter Metrics(TestDatabase database, PostgresHold hold) =>
        database.Room(services => services.AddSingleton(_ => hold)).GetRequiredService<MetricWriter>();

    private static async Task Write(MetricWriter writer, int from, int to)
    {
        Assert.True(writer.TryWrite(
            Stage, [.. Enumerable.Range(from, to - from + 1).Select(s => MetricWriterTests.Sample(1, s, s))], out var durable));
        await durable;
    }

    private static Task<PostgresHold> Join(TestDatabase database, string name, TaskCompletionSource<string>? told = null,
        TimeProvider? clock = null) =>
        PostgresHold.Join((OpsDatabase.Postgres)database.Database, name, who => told?.TrySetResult(who), clock ?? TimeProvider.System,
            Cancellation, TimeSpan.FromHours(1));

    private static async Task Sign(TestDatabase database, PostgresHold hold)
    {
        await using var connections = new OpsConnections(database.Database);
        await StoreIdentity.Read(connections, Cancellation);
        await hold.Sign(Cancellation);
        await hold.Share(Cancellation);
    }

    /// <summary>A silo that works, and knows that it does.</summary>
    private static async Task<PostgresHold> Member(TestDatabase database, int number, TimeProvider? clock = null)
    {
        var hold = await Join(database, Name, clock: clock);
        await (hold.Alone ? Sign(database, hold) : hold.Share(Cancellation));
        await Call(database, number, SiloStatus.Active);
        hold.Silo = Address(number).ToParsableString();
        await hold.Look(Cancellation);
        return hold;
    }

    private static SiloAddress Address(int number) => SiloAddress.New(IPAddress.Loopback, 10_000 + number, 1);

    private static async Task Call(TestDatabase database, int number, SiloStatus status)
    {
        var table = new OpsMembership(database.Room().GetRequiredService<OpsConnections>());
        await table.InitializeMembershipTable(true);
        var all = await table.ReadAll();
        if (all.Members.FirstOrDefault(m => m.Item1.SiloAddress.Equals(Address(number))) is var (member, etag))
        {
            member.Status = status;
            Assert.True(await table.UpdateRow(member, etag, all.Version.Next()));
            return;
        }

        Assert.True(await table.InsertRow(
            new MembershipEntry { SiloAddress = Address(number), Status = status, HostName = "host", SiloName = "silo" },
            all.Version.Next()));
    }
}
