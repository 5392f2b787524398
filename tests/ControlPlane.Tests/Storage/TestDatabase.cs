using DeepSeekOps.ControlPlane.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>Which database a test runs on; the same test runs on both.</summary>
public enum DatabaseKind
{
    Sqlite = 0,
    Postgres = 1,
}

/// <summary>A fresh database with its tables, and the storage room over it. What a second room sees was really written.</summary>
public sealed class TestDatabase : IAsyncDisposable
{
    private readonly string folder;
    private readonly List<ServiceProvider> rooms = [];

    private TestDatabase(OpsDatabase database, string folder)
    {
        Database = database;
        this.folder = folder;
    }

    public OpsDatabase Database { get; }

    public static async Task<TestDatabase> Create(DatabaseKind kind, PrivatePostgres postgres, bool migrate = true)
    {
        var cancellation = TestContext.Current.CancellationToken;
        string folder = Directory.CreateTempSubdirectory("dsops-db-").FullName;
        var database = OpsDatabase.Parse(kind == DatabaseKind.Postgres ? await postgres.CreateDatabase(cancellation) : null, folder);
        if (migrate)
        {
            await StorageHosting.Prepare(database, cancellation);
        }

        return new TestDatabase(database, folder);
    }

    /// <summary>The room as a process that just began has it: nothing in memory.</summary>
    public ServiceProvider Room(Action<IServiceCollection>? others = null)
    {
        var services = new ServiceCollection().AddLogging(l => l.ClearProviders()).AddStorage(Database);
        others?.Invoke(services);
        var room = services.BuildServiceProvider();
        rooms.Add(room);
        return room;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var room in rooms)
        {
            await room.DisposeAsync();
        }

        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        Directory.Delete(folder, recursive: true);
    }
}
