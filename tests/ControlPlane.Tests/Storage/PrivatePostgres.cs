using DeepSeekOps.ControlPlane.Tests.Storage;
using Xunit;

[assembly: AssemblyFixture(typeof(PrivatePostgres))]

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>The server of this test process. It begins with the first test that asks and ends with the process.</summary>
public sealed class PrivatePostgres : IAsyncDisposable
{
    private readonly SemaphoreSlim beginning = new(1);
    private PostgresServer? server;
    private bool missing;

    /// <summary>An empty database's connection string; skips the test, with the reason, where PostgreSQL is not installed.</summary>
    public async Task<string> CreateDatabase(CancellationToken cancellation)
    {
        await beginning.WaitAsync(cancellation);
        try
        {
            if (server is null && !missing)
            {
                server = await PostgresServer.Begin(cancellation);
                missing = server is null;
            }
        }
        finally
        {
            beginning.Release();
        }

        Assert.SkipWhen(missing, PostgresServer.Missing);
        return await server!.CreateDatabase(cancellation);
    }

    public ValueTask DisposeAsync() => server?.DisposeAsync() ?? ValueTask.CompletedTask;
}
