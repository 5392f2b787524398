using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Incidents;
using Polly;
using Polly.Retry;
using NoticesDue = DeepSeekOps.Decisions.Incidents.Notices;

namespace DeepSeekOps.ControlPlane.Api.Notices;

/// <param name="Address">Of the dashboard, for links.</param>
internal sealed record NoticeOffice(ImmutableArray<INoticeChannel> Channels, bool All, string Address);

/// <summary>A channel that cannot be reached.</summary>
internal sealed record NoticeTrouble(string Channel, string Why, DateTimeOffset Since, int Untold);

/// <summary>
/// Reads the ledger every few seconds and tells people what they have not been told. What is not delivered stays in the ledger, so there is
/// no queue that could be lost or grow, and no grain waits for a mail server.
/// </summary>
internal sealed partial class Notifier(NoticeOffice office, NoticeSources sources, TimeProvider clock, ILogger<Notifier> log)
    : BackgroundService
{
    // Ours: somebody who is woken does not mind five seconds, and one look is two small queries.
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);

    private readonly ResiliencePipeline again = new ResiliencePipelineBuilder { TimeProvider = clock }.AddRetry(new RetryStrategyOptions
    {
        ShouldHandle = new PredicateBuilder().Handle<NoticeException>(e => e.Again),
        MaxRetryAttempts = 2, Delay = TimeSpan.FromSeconds(1), BackoffType = DelayBackoffType.Exponential, UseJitter = true,
    }).Build();

    public ImmutableArray<NoticeTrouble> Troubles { get; private set; } = [];

    public IEnumerable<string> Names => office.Channels.Select(c => c.Name);

    /// <summary>A trial: what each channel answers, in words; empty: it was delivered.</summary>
    public async Task<ImmutableArray<(string Channel, string Trouble)>> Try(CancellationToken cancellation)
    {
        var trial = new Notice("a trial message", [new Noteworthy($"trial {clock.GetUtcNow():O}", "", "A trial message",
            "Nothing happened: somebody tried whether messages arrive.", "/incidents", clock.GetUtcNow(), false)], false);
        var tried = ImmutableArray.CreateBuilder<(string, string)>();
        foreach (var channel in office.Channels)
        {
            tried.Add((channel.Name, await Deliver(channel, trial, cancellation)));
        }

        return tried.ToImmutable();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (office.Channels.IsEmpty)
        {
            return;
        }

        using var timer = new PeriodicTimer(Every, clock);
        do
        {
            try
            {
                await Turn(stoppingToken);
            }
            catch (Exception failed) when (failed is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                // A ledger that is away: what is not told now is told by a later turn.
                LogTurnFailed(failed);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    internal async Task Turn(CancellationToken cancellation)
    {
        var known = await sources.Known(clock.GetUtcNow(), cancellation);
        var grain = sources.Book();
        var book = await grain.Read();
        var troubles = ImmutableArray.CreateBuilder<NoticeTrouble>();
        // Where several work, one tells people; the others know from its book what could not be told.
        bool ours = sources.Ours();
        foreach (var channel in office.Channels)
        {
            var told = book.Of(channel.Name);
            foreach (var notice in ours ? NoticesDue.Due(told, known, office.All, clock.GetUtcNow()) : [])
            {
                string trouble = await Deliver(channel, notice, cancellation);
                told = trouble.Length == 0 ? NoticesDue.Sent(told, notice, known, clock.GetUtcNow())
                    : NoticesDue.Failed(told, trouble, clock.GetUtcNow());
                await grain.Write(channel.Name, told);
                if (trouble.Length > 0)
                {
                    LogUndelivered(channel.Name, trouble);
                    break;
                }
            }

            if (told.TroubleSince is { } since)
            {
                int untold = NoticesDue.Untold(told, known, office.All, clock.GetUtcNow()).Length;
                troubles.Add(new NoticeTrouble(channel.Name, told.Trouble, since, untold));
            }
        }

        Troubles = troubles.ToImmutable();
    }

    private async Task<string> Deliver(INoticeChannel channel, Notice notice, CancellationToken cancellation)
    {
        try
        {
            await again.ExecuteAsync(async token => await channel.Send(notice, office.Address, token), cancellation);
            return "";
        }
        catch (NoticeException failed)
        {
            return failed.Message;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Nobody could be notified by {Channel}: {Why}")]
    private partial void LogUndelivered(string channel, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "What people have to be notified of could not be read")]
    private partial void LogTurnFailed(Exception failed);
}
