using System.Collections.Immutable;
using System.Data.Common;
using System.Threading.Channels;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>One SQL statement with its parameters, in words that SQLite and PostgreSQL both accept.</summary>
public sealed record Statement(string Sql, params (string Name, object Value)[] Parameters)
{
    /// <summary>What is written into the audit log in the same transaction, if the statement changed a row.</summary>
    public ImmutableArray<AuditAct> Acts { get; init; } = [];

    /// <summary>Acts alone: nothing of ours changes with them.</summary>
    public static Statement Of(ImmutableArray<AuditAct> acts) => new("") { Acts = acts };
}

/// <summary>
/// Group commit: statements of many callers go to the database in one transaction, and each caller goes on when it is on the disk. One
/// lane on SQLite, which has one writer anyway; a few on PostgreSQL, each group one round trip.
/// </summary>
public sealed class WriteLane : IAsyncDisposable
{
    /// <summary>Beyond this a group only delays its first member.</summary>
    private const int GroupMax = 256;

    /// <summary>
    /// A group is a few milliseconds' work; a server that needs so long is hung or overwhelmed, and its callers want to know.
    /// </summary>
    private const int CommandSeconds = 5;

    /// <summary>
    /// For a database whose calls know no limit of their own (a disk that hangs): longer than theirs, so that their words come first.
    /// </summary>
    private static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(15);

    private readonly OpsConnections connections;
    private readonly StoreWatch watch;
    private readonly PostgresHold? hold;
    private readonly AuditSeal? seal;
    private readonly Channel<Job> jobs = Channel.CreateBounded<Job>(new BoundedChannelOptions(16_384) { SingleReader = true });
    private readonly Task worker;
    private DbConnection? connection;

    /// <param name="hold">Of a silo among several: what it writes is refused from when the others have called it dead.</param>
    /// <param name="seal">Null: nobody here writes into the audit log.</param>
    public WriteLane(OpsConnections connections, StoreWatch watch, PostgresHold? hold = null, AuditSeal? seal = null)
    {
        (this.connections, this.watch, this.hold, this.seal) = (connections, watch, hold, seal);
        // SQLite's calls block: a thread of its own keeps them off the pool.
        worker = Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
    }

    /// <summary>Runs the statements in order and answers the rows that each changed, once they are durable.</summary>
    /// <exception cref="StoreUnwritableException">The database does not take them. Without an answer they may still become
    /// durable.</exception>
    public async Task<int[]> Run(IReadOnlyList<Statement> statements, CancellationToken cancellation)
    {
        var job = new Job(statements, new TaskCompletionSource<int[]>(TaskCreationOptions.RunContinuationsAsynchronously));
        await jobs.Writer.WriteAsync(job, cancellation);
        try
        {
            return await job.Done.Task.WaitAsync(AnswersWithin, cancellation);
        }
        catch (TimeoutException e)
        {
            // Not begun yet, it is never done: what comes after it is newer.
            job.Done.TrySetException(new StoreUnwritableException(NoAnswer, e));
            return await job.Done.Task;
        }
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

    private static readonly StoreTrouble NoAnswer = new("it gives no answer", "Look at the machine and the disk that it is on.");

    private async Task Work()
    {
        var group = new List<Job>(GroupMax);
        while (await jobs.Reader.WaitToReadAsync())
        {
            group.Clear();
            while (group.Count < GroupMax && jobs.Reader.TryRead(out var job))
            {
                if (!job.Done.Task.IsCompleted)
                {
                    group.Add(job);
                }
            }

            if (group.Count > 0 && !await TryCommit(group))
            {
                // One bad statement must not take its neighbours with it.
                foreach (var job in group)
                {
                    await TryCommit([job]);
                }
            }
        }
    }

    /// <summary>True: every caller has been told. False: nothing was written, and one of several is to blame.</summary>
    private async Task<bool> TryCommit(List<Job> group)
    {
        long number = watch.Begin();
        try
        {
            if (watch.Lost is { } lost)
            {
                throw new StoreUnwritableException(lost);
            }

            connection ??= await connections.Open(CancellationToken.None);
            await using var transaction = await connection.BeginTransactionAsync();
            var results = connection.CanCreateBatch ? await Batch(group, connection, transaction, hold?.First)
                : OneByOne(group, connection, transaction);
            // Last, since the head of its chain is what all lanes and silos wait for.
            await AuditLog.Append(Done(group, results), seal, connection, transaction);
            await transaction.CommitAsync();
            watch.Durable(number);
            for (int i = 0; i < group.Count; i++)
            {
                group[i].Done.TrySetResult(results[i]);
            }

            return true;
        }
        catch (Exception e) when (StoreFailure.IsOne(e))
        {
            var failure = PostgresHold.Fenced(e) is { } fenced ? new StoreUnwritableException(fenced, e) : e;
            var trouble = watch.Failed(number, failure);
            await DropConnection();
            if (trouble is null && group.Count > 1)
            {
                return false;
            }

            // A database that does not answer would not do so for each of them either.
            var told = trouble is null ? e : new StoreUnwritableException(trouble, e);
            group.ForEach(job => job.Done.TrySetException(told));
            return true;
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

    /// <param name="first">Goes before all of them; where it fails, nothing of them is written.</param>
    private static async Task<int[][]> Batch(List<Job> group, DbConnection connection, DbTransaction transaction, Statement? first)
    {
        await using var batch = connection.CreateBatch();
        batch.Transaction = transaction;
        batch.Timeout = CommandSeconds;
        Statement[] before = first is null ? [] : [first];
        foreach (var statement in before.Concat(group.SelectMany(j => j.Statements).Where(s => s.Sql.Length > 0)))
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

        if (batch.BatchCommands.Count > 0)
        {
            await batch.ExecuteNonQueryAsync();
        }

        int next = before.Length;
        return [.. group.Select(
            j => j.Statements.Select(s => s.Sql.Length == 0 ? 0 : batch.BatchCommands[next++].RecordsAffected).ToArray())];
    }

    private static ImmutableArray<AuditAct> Done(List<Job> group, int[][] rows) =>
    [
        .. group.SelectMany((job, j) => job.Statements.Where((s, i) => s.Sql.Length == 0 || rows[j][i] > 0)).SelectMany(s => s.Acts),
    ];

    private static int[][] OneByOne(List<Job> group, DbConnection connection, DbTransaction transaction) =>
        [.. group.Select(j => j.Statements.Select(s => Execute(s, connection, transaction)).ToArray())];

    private static int Execute(Statement statement, DbConnection connection, DbTransaction transaction)
    {
        if (statement.Sql.Length == 0)
        {
            return 0;
        }

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
public class WriteLanes : IAsyncDisposable
{
    private const int PostgresLanes = 3;

    private readonly WriteLane[] lanes;

    public WriteLanes(OpsConnections connections, StoreWatch watch, PostgresHold? hold = null, AuditSeal? seal = null) => lanes =
        [.. Enumerable.Range(0, connections.Database is OpsDatabase.Sqlite ? 1 : PostgresLanes)
            .Select(_ => new WriteLane(connections, watch, hold, seal))];

    public virtual Task<int[]> Run(string key, IReadOnlyList<Statement> statements, CancellationToken cancellation) =>
        lanes[(uint)StableHash(key) % lanes.Length].Run(statements, cancellation);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var lane in lanes)
        {
            await lane.DisposeAsync();
        }
    }

    private static int StableHash(string key) => key.Aggregate(17, (hash, c) => unchecked((hash * 31) + c));
}
