using System.Collections.Immutable;
using System.Text;
using System.Threading.Channels;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// What a silo tells the others for the pages that are open there: which run was written, and samples as they come. It goes by NOTIFY of
/// the database that all have; nothing is decided by it, and what is lost is read again by whoever looks.
/// </summary>
public sealed partial class SiloTidings(OpsDatabase database, OpsConnections connections, ChangeFeed feed, LiveSeries live,
    TimeProvider clock, ILogger<SiloTidings> log) : BackgroundService
{
    private const string Channel = "dsops";

    /// <summary>PostgreSQL takes payloads of less than 8000 bytes. A sample has 0.2 to 3 kB.</summary>
    private const int BytesMax = 7900;

    /// <summary>Beats that may wait to be told, and notices of one turn: beyond them pages are told that they missed some.</summary>
    private const int WaitingMax = 256;

    /// <summary>Ours: a page draws twice a second, and a turn is one round trip for all that came meanwhile.</summary>
    private static readonly TimeSpan TellEvery = TimeSpan.FromMilliseconds(200);

    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(1);

    private readonly string us = Guid.NewGuid().ToString("N");
    private readonly Lock changing = new();
    private readonly Dictionary<string, bool> written = [];
    private readonly Channel<(StageId Stage, ImmutableArray<StepSample> Samples)> samples =
        System.Threading.Channels.Channel.CreateBounded<(StageId, ImmutableArray<StepSample>)>(new BoundedChannelOptions(WaitingMax)
        {
            FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true,
        });

    private bool missed;

    /// <summary>It hears what others tell from now on.</summary>
    internal Task Listening => listening.Task;

    private readonly TaskCompletionSource listening = new(TaskCreationOptions.RunContinuationsAsynchronously);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        feed.WrittenHere += Written;
        live.PublishedHere += Published;
        try
        {
            await Task.WhenAll(Tell(stoppingToken), Hear(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
        finally
        {
            feed.WrittenHere -= Written;
            live.PublishedHere -= Published;
        }
    }

    private void Written(string run, bool recorded)
    {
        lock (changing)
        {
            written[run] = recorded || written.GetValueOrDefault(run);
        }
    }

    private void Published(StageId stage, ImmutableArray<StepSample> some)
    {
        if (!samples.Writer.TryWrite((stage, some)))
        {
            missed = true;
        }
    }

    private async Task Tell(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(TellEvery, clock);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            var notices = Notices();
            try
            {
                await Notify(notices, cancellation);
            }
            catch (Exception e) when (StoreFailure.IsOne(e))
            {
                missed = true;
            }
        }
    }

    private List<string> Notices()
    {
        var notices = new List<string>();
        lock (changing)
        {
            notices.AddRange(written.Select(w => LedgerJson.Write(new Notice(us) { Run = w.Key, Recorded = w.Value })));
            written.Clear();
        }

        while (notices.Count < WaitingMax && samples.Reader.TryRead(out var batch))
        {
            notices.AddRange(InParts(batch.Stage, batch.Samples));
        }

        if (missed)
        {
            missed = false;
            notices.Add(LedgerJson.Write(new Notice(us) { Missed = true }));
        }

        return notices;
    }

    /// <summary>As many samples in each as a payload holds.</summary>
    private IEnumerable<string> InParts(StageId stage, ImmutableArray<StepSample> some)
    {
        string whole = LedgerJson.Write(new Notice(us) { Run = stage.Run, Stage = stage.Stage, Samples = some });
        if (Encoding.UTF8.GetByteCount(whole) <= BytesMax)
        {
            return [whole];
        }

        missed |= some.Length == 1;
        return some.Length == 1 ? [] : InParts(stage, some[..(some.Length / 2)]).Concat(InParts(stage, some[(some.Length / 2)..]));
    }

    private async Task Notify(List<string> notices, CancellationToken cancellation)
    {
        if (notices.Count == 0)
        {
            return;
        }

        await using var connection = (NpgsqlConnection)await connections.Open(cancellation);
        await using var batch = new NpgsqlBatch(connection);
        foreach (string notice in notices)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT pg_notify(@channel, @notice)")
            {
                Parameters = { new NpgsqlParameter("channel", Channel), new NpgsqlParameter("notice", notice) },
            });
        }

        await batch.ExecuteNonQueryAsync(cancellation);
    }

    private async Task Hear(CancellationToken cancellation)
    {
        // A server that is gone without a word is found by the keep-alive.
        var own = new NpgsqlConnectionStringBuilder(((OpsDatabase.Postgres)database).ConnectionString)
        {
            Pooling = false, KeepAlive = 10, ApplicationName = "dsops (hears other silos)",
        };
        while (true)
        {
            try
            {
                await using var connection = new NpgsqlConnection(own.ConnectionString);
                connection.Notification += (_, told) => Heard(told.Payload);
                await connection.OpenAsync(cancellation);
                await using (var listen = new NpgsqlCommand($"LISTEN {Channel}", connection))
                {
                    await listen.ExecuteNonQueryAsync(cancellation);
                }

                // What was told before is not told again.
                feed.HeardAgain();
                live.Missed();
                listening.TrySetResult();
                while (true)
                {
                    await connection.WaitAsync(cancellation);
                }
            }
            catch (Exception e) when (StoreFailure.IsOne(e))
            {
                LogDeaf(e.GetBaseException().Message);
            }

            await Task.Delay(TryAgain, clock, cancellation);
        }
    }

    /// <summary>What anybody may have written who reaches the database: what is no notice of a silo is passed over.</summary>
    private void Heard(string payload)
    {
        try
        {
            var notice = LedgerJson.Read<Notice>(payload);
            if (notice.From == us)
            {
                return;
            }

            if (notice.Missed)
            {
                live.Missed();
            }
            else if (notice.Stage is { } stage && notice.Run is { } of)
            {
                live.Heard(new StageId(of, stage), notice.Samples.IsDefault ? [] : notice.Samples);
            }
            else if (notice.Run is { } run)
            {
                feed.Heard(run, notice.Recorded);
            }
        }
        catch (System.Text.Json.JsonException e)
        {
            LogOther(e.Message);
        }
    }

    private sealed record Notice(string From)
    {
        public string? Run { get; init; }

        public bool Recorded { get; init; }

        public string? Stage { get; init; }

        public ImmutableArray<StepSample> Samples { get; init; } = [];

        public bool Missed { get; init; }
    }

    [LoggerMessage(LogLevel.Warning, "News of other silos does not arrive; pages here are some seconds late: {Why}")]
    private partial void LogDeaf(string why);

    [LoggerMessage(LogLevel.Warning, "A notice on the database's channel is none of a silo's: {Why}")]
    private partial void LogOther(string why);
}
