using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters;
using Orleans.Runtime;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Whether what this silo says still counts: one that others have called dead must not tell agents what to do.</summary>
public sealed record Standing(Func<bool> Speaks);

/// <summary>
/// A silo that ends takes its grains with it, and nobody calls those of a run by themselves: each survivor wakes all that have not ended at
/// once. Their reminders would take up to a minute. Level-triggered: it goes on until all have answered.
/// </summary>
internal sealed partial class SiloLosses(
    IClusterMembershipService silos, ILocalSiloDetails us, WakeUp wakeUp, ITrainingCluster cluster, TimeProvider clock,
    ILogger<SiloLosses> log) : BackgroundService
{
    /// <summary>Ours: a call to what just moved fails within a moment, and a look at memory costs nothing.</summary>
    private static readonly TimeSpan TryAgain = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    private ImmutableHashSet<SiloAddress> working = [];
    private bool awake;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await Task.WhenAll(Watch(stoppingToken), Wake(stoppingToken), Look(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    private async Task Watch(CancellationToken cancellation)
    {
        await foreach (var seen in silos.MembershipUpdates.WithCancellation(cancellation))
        {
            var now = seen.Members.Values.Where(m => m.Status == SiloStatus.Active).Select(m => m.SiloAddress).ToImmutableHashSet();
            foreach (var lost in working.Except(now))
            {
                awake = false;
                LogLost(lost);
            }

            foreach (var joined in now.Except(working).Remove(us.SiloAddress))
            {
                LogJoined(joined);
            }

            working = now;
        }
    }

    private async Task Wake(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(TryAgain, clock);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            if (awake || !working.Contains(us.SiloAddress))
            {
                continue;
            }

            awake = true;
            try
            {
                long began = clock.GetTimestamp();
                var woken = await wakeUp.All(cancellation);
                if (awake)
                {
                    LogWoken(woken.Length, clock.GetElapsedTime(began).TotalSeconds);
                }
            }
            catch (Exception failed) when (failed is not OperationCanceledException || !cancellation.IsCancellationRequested)
            {
                awake = false;
                LogNotWoken(failed is OrleansException or TimeoutException ? null : failed, failed.Message);
            }
        }
    }

    /// <summary>
    /// On which boot of its machine a pod was seen is known to whoever looked then: each silo looks, so that the one that has the stage
    /// later can tell.
    /// </summary>
    private async Task Look(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(LookEvery, clock);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            try
            {
                await cluster.Observe(cancellation);
            }
            catch (Exception failed) when (failed is IOException or HttpRequestException or TimeoutException)
            {
                // Whoever needs to know says that it cannot be asked.
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Silo {Silo} is gone: what it had goes on here and on the others")]
    private partial void LogLost(SiloAddress silo);

    [LoggerMessage(Level = LogLevel.Information, Message = "Silo {Silo} works")]
    private partial void LogJoined(SiloAddress silo);

    [LoggerMessage(Level = LogLevel.Information,
        Message = "{Runs} runs that have not ended are awake, {Seconds:0.00} s after they were asked")]
    private partial void LogWoken(int runs, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Not all runs are awake yet, they are asked again: {Why}")]
    private partial void LogNotWoken(Exception? failed, string why);
}
