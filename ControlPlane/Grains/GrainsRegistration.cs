using System.Collections.Immutable;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Grains;

public static class GrainsRegistration
{
    /// <summary>
    /// What the grains need of a silo beside storage and reminders. The host adds <see cref="Ledger"/>, an ITrainingCluster and a
    /// TimeProvider.
    /// </summary>
    public static ISiloBuilder AddGrains(this ISiloBuilder silo, PlacementPolicy? policy = null)
    {
        silo.Services.AddDecisionRecords();
        silo.Services.AddSingleton(policy ?? PlacementPolicy.Default);
        silo.Services.AddSingleton<SteadyClock>();
        silo.Services.AddSingleton<StrayAgents>();
        return silo.AddStartupTask<WakeUp>(ServiceLifecycleStage.Active);
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
        await grains.GetGrain<IClusterGrain>(IClusterGrain.Key).Describe();
        foreach (string run in await ledger.UnfinishedRuns(cancellationToken))
        {
            await grains.GetGrain<IRunGrain>(run).Describe();
            LogWoken(run);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Run {Run} goes on")]
    private partial void LogWoken(string run);
}
