using System.Collections.Immutable;
using System.Threading.Channels;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Runs;
using Microsoft.Extensions.Logging;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>
/// Takes samples off the heartbeat's path and writes them in chunks of 512 points. Keyed by (run, stage, name, attempt, step): a sample
/// sent again is one point, and an attempt that was superseded keeps its points under its own number.
/// </summary>
public sealed partial class MetricWriter : IAsyncDisposable
{
    /// <summary>Batches (beats of stages) that may wait for the database.</summary>
    public const int WaitingMax = 4096;

    // Beyond this many the oldest series in memory are stages that ended; they are read again if one more sample comes.
    private const int StagesMax = 1024;

    private readonly Channel<Batch> waiting = Channel.CreateBounded<Batch>(new BoundedChannelOptions(WaitingMax) { SingleReader = true });
    private readonly Dictionary<(StageId Stage, int Attempt), OpenChunks> chunks = [];
    private readonly Dictionary<StageId, HashSet<(int Attempt, long Step)>> shown = [];
    private readonly WriteLanes lanes;
    private readonly OpsConnections connections;
    private readonly LiveSeries live;
    private readonly ILogger<MetricWriter> log;
    private readonly Task worker;

    public MetricWriter(WriteLanes lanes, OpsConnections connections, LiveSeries live, ILogger<MetricWriter> log)
    {
        this.lanes = lanes;
        this.connections = connections;
        this.live = live;
        this.log = log;
        worker = Task.Run(Work);
    }

    /// <summary>Never blocks. False: too much is waiting for the database, nothing was taken; send it again later.</summary>
    /// <param name="durable">Ends when the samples are on the disk, or fails when they could not be written.</param>
    public bool TryWrite(StageId stage, ImmutableArray<StepSample> samples, out Task durable)
    {
        var batch = new Batch(stage, samples, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        durable = batch.Durable.Task;
        return waiting.Writer.TryWrite(batch);
    }

    public async ValueTask DisposeAsync()
    {
        waiting.Writer.TryComplete();
        await worker;
    }

    private async Task Work()
    {
        while (await waiting.Reader.WaitToReadAsync())
        {
            // All that came while the last write was on its way, stage by stage, so that one stage's trouble is not another's.
            var taken = new List<Batch>();
            while (taken.Count < WaitingMax && waiting.Reader.TryRead(out var batch))
            {
                taken.Add(batch);
            }

            foreach (var (stage, batches, failure) in await Task.WhenAll(await Writes(taken)))
            {
                End(stage, batches, failure);
            }
        }
    }

    private async Task<List<Task<Written>>> Writes(List<Batch> taken)
    {
        var writes = new List<Task<Written>>();
        foreach (var ofStage in taken.GroupBy(b => b.Stage))
        {
            List<Batch> batches = [.. ofStage];
            try
            {
                var statements = await Add(ofStage.Key, batches);
                writes.Add(Write(ofStage.Key, statements, batches));
            }
            catch (Exception e) when (StoreFailure.IsOne(e))
            {
                writes.Add(Task.FromResult(new Written(ofStage.Key, batches, e)));
            }
        }

        return writes;
    }

    private async Task<List<Statement>> Add(StageId stage, List<Batch> batches)
    {
        if (chunks.Count > StagesMax)
        {
            chunks.Clear();
        }

        var touched = new HashSet<OpenChunks>();
        foreach (var batch in batches)
        {
            var fresh = ImmutableArray.CreateBuilder<StepSample>(batch.Samples.Length);
            foreach (var sample in batch.Samples)
            {
                if (!chunks.TryGetValue((stage, sample.Attempt), out var open))
                {
                    chunks[(stage, sample.Attempt)] =
                        open = await OpenChunks.Load(connections, stage, sample.Attempt, CancellationToken.None);
                }

                touched.Add(open);
                // After a failed write it is fresh on the disk's side a second time; pages had it with the first.
                if (await open.Add(sample, CancellationToken.None) & Shown(stage).Add((sample.Attempt, sample.Step)))
                {
                    fresh.Add(sample);
                }
            }

            if (fresh.Count > 0)
            {
                live.Publish(stage, fresh.ToImmutable());
            }
        }

        return [.. touched.SelectMany(open => open.TakeStatements())];
    }

    /// <summary>What live pages were shown before it was on the disk.</summary>
    private HashSet<(int Attempt, long Step)> Shown(StageId stage) => shown.TryGetValue(stage, out var steps) ? steps : shown[stage] = [];

    private async Task<Written> Write(StageId stage, List<Statement> statements, List<Batch> batches)
    {
        try
        {
            await lanes.Run(stage.ToString(), statements, CancellationToken.None);
            return new Written(stage, batches, null);
        }
        catch (Exception e) when (StoreFailure.IsOne(e))
        {
            return new Written(stage, batches, e);
        }
    }

    private void End(StageId stage, List<Batch> batches, Exception? failure)
    {
        if (failure is null)
        {
            shown.Remove(stage);
            batches.ForEach(b => b.Durable.TrySetResult());
            return;
        }

        // What is in memory is ahead of the disk now: read it again before the samples come again.
        foreach (var key in chunks.Keys.Where(k => k.Stage == stage).ToList())
        {
            chunks.Remove(key);
        }

        // A reader's exception hides what happened behind "a transient failure".
        string why = (failure as StoreUnwritableException)?.Trouble.Why ?? StoreFailure.Of(failure, connections.Database)?.Why
            ?? failure.Message;
        LogNotWritten(log, batches.Sum(b => b.Samples.Length), stage, why);
        batches.ForEach(b => b.Durable.TrySetException(failure));
    }

    [LoggerMessage(LogLevel.Warning, "{Samples} samples of {Stage} were not written ({Why}); the agent sends them again.")]
    private static partial void LogNotWritten(ILogger log, int samples, StageId stage, string why);

    private sealed record Batch(StageId Stage, ImmutableArray<StepSample> Samples, TaskCompletionSource Durable);

    private sealed record Written(StageId Stage, List<Batch> Batches, Exception? Failure);
}
