using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DeepSeekOps.ControlPlane.Grains;

public static class GrainsRegistration
{
    /// <summary>
    /// What the grains need of a silo beside storage and reminders. The host adds <see cref="Ledger"/>, an ITrainingCluster and a
    /// TimeProvider.
    /// </summary>
    /// <param name="alone">False: one of several silos, whose start waits for no grain of another one that may hang.</param>
    public static ISiloBuilder AddGrains(this ISiloBuilder silo, PlacementPolicy? policy = null, bool alone = true)
    {
        silo.Services.AddDecisionRecords();
        silo.Services.AddSingleton(policy ?? PlacementPolicy.Default);
        silo.Services.AddSingleton<SteadyClock>();
        silo.Services.AddSingleton<StrayAgents>();
        silo.Services.TryAddSingleton(new Standing(() => true));
        silo.Services.AddSingleton<WakeUp>();
        silo.AddIncomingGrainCallFilter<GrainCallMeter>();
        if (alone)
        {
            return silo.AddStartupTask<WakeUp>(ServiceLifecycleStage.Active);
        }

        silo.Services.AddHostedService<SiloLosses>();
        return silo;
    }
}

/// <summary>Agents that run here and that no stage of this database ever wanted. Of this process alone, for people to see.</summary>
public sealed class StrayAgents(TimeProvider clock)
{
    public ImmutableArray<PodSeen> Seen
    {
        get => seen;
        set => (seen, Since) = (value, seen.IsEmpty ? clock.GetUtcNow() : Since);
    }

    public DateTimeOffset Since { get; private set; }

    private ImmutableArray<PodSeen> seen = [];
}

/// <summary>
/// A control plane that begins looks for leftovers and goes on with every run at once; reminders alone would take up to a minute.
/// </summary>
internal sealed partial class WakeUp(IGrainFactory grains, Ledger ledger, ILogger<WakeUp> log) : IStartupTask
{
    public async Task Execute(CancellationToken cancellationToken)
    {
        foreach (string run in await All(cancellationToken))
        {
            LogWoken(run);
        }
    }

    /// <summary>The cluster, every run that has not ended, and its stages: those that are awake only answer.</summary>
    public async Task<ImmutableArray<string>> All(CancellationToken cancellation)
    {
        var unfinished = await ledger.UnfinishedRuns(cancellation);
        await Task.WhenAll(unfinished.Select(Run).Append(Cluster()));
        return unfinished;
    }

    /// <summary>
    /// Awake it asks the cluster again and again by itself. One that does not answer yet, such as a busy API server, keeps no control plane
    /// from beginning: agents train, and people want to see why nothing else moves.
    /// </summary>
    private async Task Cluster()
    {
        try
        {
            await grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe();
        }
        catch (Exception silent) when (silent is not OperationCanceledException)
        {
            LogSilent(silent.Message);
        }
    }

    private async Task Run(string run)
    {
        var view = await grains.GetGrain<IRunGrain>(run).Describe();
        await Task.WhenAll((view?.Stages ?? []).Select(s => grains.GetGrain<IStageGrain>(new StageId(run, s.Name).ToString()).Describe()));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The cluster does not answer yet, and is asked again: {Why}")]
    private partial void LogSilent(string why);

    [LoggerMessage(Level = LogLevel.Information, Message = "Run {Run} goes on")]
    private partial void LogWoken(string run);
}
