using System.Data.Common;
using System.Threading.Channels;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>One SQL statement with its parameters, in words that SQLite and PostgreSQL both accept.</summary>
public sealed record Statement(string Sql, params (string Name, object Value)[] Parameters);

/// <summary>
/// Group commit: statements of many callers go to the database in one transaction, and each caller goes on when it is on the disk. One
/// lane on SQLite, which has one writer anyway; a few on PostgreSQL, each group one round trip.
/// </summary>
public sealed class WriteLane : IAsyncDisposable
{
    /// <summary>Beyond this a group only delays its first member.</summary>
    private const int GroupMax = 256;

    private readonly OpsConnections connections;
    private readonly Channel<Job> jobs = Channel.CreateBounded<Job>(new BoundedChannelOptions(16_384) { SingleReader = true });
    private readonly Task worker;
    private DbConnection? connection;

    public WriteLane(OpsConnections connections)
    {
        this.connections = connections;
        // SQLite's calls block: a thread of its own keeps them off the pool.
        worker = Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
    }

    /// <summary>Runs the statements in order and answers the rows that each changed, once they are durable.</summary>
    public async Task<int[]> Run(IReadOnlyList<Statement> statements, CancellationToken cancellation)
    {
        var job = new Job(statements, new TaskCompletionSource<int[]>(TaskCreationOptions.RunContinuationsAsynchronously));
        await jobs.Writer.WriteAsync(job, cancellation);
        return await job.Done.Task.WaitAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        jobs.Writer.TryComplete();
        await worker;
        if (connection is not null)
        {
            await connection.DisposeAsync();
        }
    }

    private async Task Work()
    {
        var group = new List<Job>(GroupMax);
        while (await jobs.Reader.WaitToReadAsync())
        {
            group.Clear();
            while (group.Count < GroupMax && jobs.Reader.TryRead(out var job))
            {
                group.Add(job);
            }

            if (!await TryCommit(group) && group.Count > 1)
            {
                // One bad statement must not take its neighbours with it.
                foreach (var job in group)
                {
                    await TryCommit([job]);
                }
            }
        }
    }

    /// <summary>False: nothing was written; with a single job, its caller has been told.</summary>
    private async Task<bool> TryCommit(List<Job> group)
    {
        try
        {
            connection ??= await connections.Open(CancellationToken.None);
            await using var transaction = await connection.BeginTransactionAsync();
            var results = connection.CanCreateBatch ? await Batch(group, connection, transaction) : OneByOne(group, connection, transaction);
            await transaction.CommitAsync();
            for (int i = 0; i < group.Count; i++)
            {
                group[i].Done.SetResult(results[i]);
            }

            return true;
        }
        catch (Exception e) when (e is DbException or IOException or InvalidOperationException or TimeoutException)
        {
            await DropConnection();
            if (group.Count == 1)
            {
                group[0].Done.SetException(e);
            }

            return false;
        }
    }

    private async Task DropConnection()
    {
        if (connection is not null)
        {
            await connection.DisposeAsync();
            connection = null;
        }
    }

    private static async Task<int[][]> Batch(List<Job> group, DbConnection connection, DbTransaction transaction)
    {
        await using var batch = connection.CreateBatch();
        batch.Transaction = transaction;
        foreach (var statement in group.SelectMany(j => j.Statements))
        {
            var command = batch.CreateBatchCommand();
            command.CommandText = statement.Sql;
            foreach (var (name, value) in statement.Parameters)
            {
                var parameter = command.CreateParameter();
                parameter.ParameterName = name;
                parameter.Value = value;
                command.Parameters.Add(parameter);
            }

            batch.BatchCommands.Add(command);
        }

        await batch.ExecuteNonQueryAsync();
        int next = 0;
        return [.. group.Select(j => j.Statements.Select(_ => batch.BatchCommands[next++].RecordsAffected).ToArray())];
    }

    private static int[][] OneByOne(List<Job> group, DbConnection connection, DbTransaction transaction) =>
        [.. group.Select(j => j.Statements.Select(s => Execute(s, connection, transaction)).ToArray())];

    private static int Execute(Statement statement, DbConnection connection, DbTransaction transaction)
    {
        using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = statement.Sql;
        foreach (var (name, value) in statement.Parameters)
        {
            var parameter = command.CreateParameter();
            parameter.ParameterName = name;
            parameter.Value = value;
            command.Parameters.Add(parameter);
        }

        return command.ExecuteNonQuery();
    }

    private sealed record Job(IReadOnlyList<Statement> Statements, TaskCompletionSource<int[]> Done);
}

/// <summary>The lanes of this process. What belongs together goes by the same key, so its order is kept.</summary>
public sealed class WriteLanes : IAsyncDisposable
{
    private const int PostgresLanes = 3;

    private readonly WriteLane[] lanes;

    public WriteLanes(OpsConnections connections) =>
        lanes = [.. Enumerable.Range(0, connections.Database is OpsDatabase.Sqlite ? 1 : PostgresLanes).Select(_ => new WriteLane(connections))];

    public Task<int[]> Run(string key, IReadOnlyList<Statement> statements, CancellationToken cancellation) =>
        lanes[(uint)StableHash(key) % lanes.Length].Run(statements, cancellation);

    public async ValueTask DisposeAsync()
    {
        foreach (var lane in lanes)
        {
            await lane.DisposeAsync();
        }
    }

    private static int StableHash(string key) => key.Aggregate(17, (hash, c) => unchecked((hash * 31) + c));
}
