using System.Collections.Immutable;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>A stage of a simulated run.</summary>
/// <param name="Ettr">Training that counts over GPUs × time from its first request to its end. Null: it never asked.</param>
/// <param name="ClosedForm">The plan's formula with this simulation's rate of faults and mean recovery. Null where it does not
/// hold.</param>
public sealed record SimulatedStage(
    string Name, string State, int Gpus, int Attempts, double Days, double? Ettr, double? ClosedForm, double GpuHours, double Dollars);

/// <param name="Restarts">Launches that followed it.</param>
/// <param name="LostGpuHours">Lost work, detection, restart and queue.</param>
public sealed record SimulatedCause(string Cause, int Faults, int Restarts, double LostGpuHours);

/// <summary>Seconds from a fault until a step begins again.</summary>
public sealed record RecoveryTimes(int Count, double Median, double Of95)
{
    internal static RecoveryTimes? Of(IReadOnlyList<double> seconds) => seconds.Count == 0 ? null
        : new RecoveryTimes(seconds.Count, At(seconds, 0.5), At(seconds, 0.95));

    private static double At(IReadOnlyList<double> seconds, double share) =>
        seconds.Order().ElementAt((int)Math.Ceiling(share * seconds.Count) - 1);
}

/// <summary>What a simulation came to. Everything in it is simulated.</summary>
/// <param name="GpuSeconds">By bucket; their sum is <paramref name="Gpus"/> × <paramref name="WallClockSeconds"/>, exactly.</param>
/// <param name="Ettr">Over all stages, weighted by their GPUs.</param>
/// <param name="Goodput">Productive over the stages' GPUs × time from first request to end; idle spares are not in it.</param>
/// <param name="ClusterGoodput">Productive over everything that the cluster had.</param>
/// <param name="LostGpuHoursByCause">What each fault cost, and the stops for checkpoints and the start-up.</param>
/// <param name="MeanRecoverySeconds">From a fault to the next step, over all that were recovered from. Null: none was.</param>
public sealed record SimulationReport(
    string Name, bool Simulated, long Seed, string Faults, int Nodes, int Spares, int Gpus, string State, double WallClockSeconds,
    double? Ettr,
    double Goodput, double ClusterGoodput, ImmutableSortedDictionary<string, double> LostGpuHoursByCause,
    double? MeanRecoverySeconds, double GpuHours, double Dollars, ImmutableSortedDictionary<string, double> GpuSeconds,
    ImmutableSortedDictionary<string, int> RestartsByCause, ImmutableArray<SimulatedCause> Causes, ImmutableArray<SimulatedStage> Stages,
    ImmutableArray<RunEvent> Timeline, long Events)
{
    /// <summary>The same trace under naive restart. Null: no trace was played.</summary>
    public NaiveReplay? Naive { get; init; }

    /// <summary>What the trace itself says of spares. Null: no trace was played.</summary>
    public TracedSpares? SparesWanted { get; init; }

    /// <summary>Times that somebody was needed: incidents that were handed to a person, and a run that was given up without one.</summary>
    public int Pages { get; init; }

    /// <summary>Recoveries that were needed.</summary>
    public int Interruptions { get; init; }

    /// <summary>Of recoveries in place, from what agents held in memory. Null: there were none.</summary>
    public RecoveryTimes? InMemory { get; init; }

    /// <summary>Of all others, which go back to a checkpoint. Null: there were none.</summary>
    public RecoveryTimes? FromCheckpoint { get; init; }

    /// <summary>What the first kind is reckoned from, of the stage where it takes longest. Null: nothing stays in place.</summary>
    public RecoveryBudget? Budget { get; init; }

    /// <summary>Told often and of no interest months later.</summary>
    private static readonly ImmutableHashSet<string> Small = ["checkpoint", "queued", "placed", "started"];

    public static SimulationReport Of(Simulation ended, SimulatedPipeline what)
    {
        var run = ended.RunsByName.Values.FirstOrDefault();
        var ledger = ended.Ledger;
        var accounts = ended.Cluster.Accounts;
        var recoveries = ended.Cluster.Recoveries;
        double? mean = recoveries.Count == 0 ? null : recoveries.Average(r => r.Took.TotalSeconds);
        ImmutableArray<SimulatedStage> stages = [.. what.Pipeline.Stages.Select(s => StageOf(ended, what, s, mean))];
        var restarts = accounts.Values.SelectMany(a => a.RestartsByCause).GroupBy(r => r.Key, StringComparer.Ordinal)
            .ToImmutableSortedDictionary(g => g.Key, g => g.Sum(r => r.Value), StringComparer.Ordinal);
        var causes = ledger.LostByCause.Keys.Union(ended.Cluster.Faults.Keys).Union(restarts.Keys).Select(c => new SimulatedCause(
            c, ended.Cluster.Faults.GetValueOrDefault(c), restarts.GetValueOrDefault(c),
            ledger.LostByCause.GetValueOrDefault(c).TotalHours));
        double asked = stages.Sum(s => s.Gpus * s.Days);
        double? ettr = asked > 0 ? stages.Sum(s => (s.Ettr ?? 0) * s.Gpus * s.Days) / asked : null;
        var lost = ledger.LostByCause.ToImmutableSortedDictionary(c => c.Key, c => c.Value.TotalHours, StringComparer.Ordinal)
            .SetItem("checkpoints", ledger[GoodputBucket.Checkpoint].TotalHours)
            .SetItem("start-up", ledger[GoodputBucket.StartUp].TotalHours);
        return new SimulationReport(
            what.Pipeline.Name, true, what.Seed, what.Faults.Name, ended.Gpus / what.SlotsPerNode, what.Spares, ended.Gpus,
            run is null ? "queued" : RunCommands.NameOf(run.Phase), ended.Elapsed.TotalSeconds,
            ettr, ettr ?? 0,
            ledger.Total > TimeSpan.Zero ? ledger[GoodputBucket.Productive] / ledger.Total : 0, lost, mean,
            ledger.Total.TotalHours, ledger.Total.TotalHours * what.Pipeline.Resources.DollarsPerGpuHour,
            Enum.GetValues<GoodputBucket>().ToImmutableSortedDictionary(GoodputBuckets.NameOf, b => ledger[b].TotalSeconds,
                StringComparer.Ordinal),
            restarts, [.. causes.OrderByDescending(c => c.LostGpuHours).ThenBy(c => c.Cause, StringComparer.Ordinal)], stages,
            [.. ended.Told.Where(e => !Small.Contains(e.Kind))], ended.Events)
        {
            Naive = NaiveOf(ended, what),
            SparesWanted = what.Trace is null ? null
                : TracedSpares.Of(what.Trace, what.Pipeline.Stages.Max(s => what.Pipeline.ResourcesOf(s).Nodes), what.Nodes + what.Spares),
            Pages = Math.Max(ended.Handed, run is { Phase: Runs.RunPhase.Failed } ? 1 : 0),
            Interruptions = recoveries.Count,
            InMemory = RecoveryTimes.Of([.. recoveries.Where(r => r.InMemory).Select(r => r.Took.TotalSeconds)]),
            FromCheckpoint = RecoveryTimes.Of([.. recoveries.Where(r => !r.InMemory).Select(r => r.Took.TotalSeconds)]),
            Budget = what.Pipeline.Stages.Select(s => what.Stages[new StageId(what.Pipeline.Name, s.Name)]).MaxBy(t => t.InPlace?.To)
                ?.InPlace,
        };
    }

    private static NaiveReplay? NaiveOf(Simulation ended, SimulatedPipeline what)
    {
        int nodes = what.Pipeline.Stages.Max(s => what.Pipeline.ResourcesOf(s).Nodes), machines = what.Nodes + what.Spares;
        return what.Trace is not { } trace ? null : NaiveRestart.Play(trace, trace.Places(machines, unchecked((int)what.Seed)), machines,
            nodes, what.SlotsPerNode, ended.Elapsed);
    }

    private static SimulatedStage StageOf(Simulation ended, SimulatedPipeline what, StageSpec spec, double? meanRecovery)
    {
        var id = new StageId(what.Pipeline.Name, spec.Name);
        var resources = what.Pipeline.ResourcesOf(spec);
        var stage = ended.Stages.GetValueOrDefault(id);
        var took = stage?.StartedAt is { } began ? (stage.EndedAt ?? ended.Now) - began : TimeSpan.Zero;
        var useful = TimeSpan.FromTicks(ended.Cluster.Accounts.GetValueOrDefault(id)?.Useful ?? 0);
        double hours = took.TotalHours * resources.Ranks;
        return new SimulatedStage(
            spec.Name, stage is null ? "waiting" : StageViews.NameOf(stage.Phase), resources.Ranks, stage?.Attempt ?? 0, took.TotalDays,
            hours > 0 ? useful.TotalHours / hours : null, ClosedForm(what, id, resources.Nodes, took, meanRecovery), hours,
            hours * resources.DollarsPerGpuHour);
    }

    /// <summary>It holds where a failure is rare beside the recovery from it, and was met often enough to be a mean.</summary>
    private static double? ClosedForm(SimulatedPipeline what, StageId stage, int nodes, TimeSpan took, double? meanRecovery)
    {
        var timing = what.Stages[stage];
        var interval = TimeSpan.FromSeconds(timing.StepSeconds * timing.CheckpointEvery);
        if (what.Faults.PerThousandNodeDays <= 0)
        {
            return 1 / (1 + (timing.StallSeconds / interval.TotalSeconds));
        }

        var between = TimeSpan.FromDays(1000 / (what.Faults.PerThousandNodeDays * nodes));
        return between < TimeSpan.FromHours(1) || took < 10 * between || meanRecovery is not { } recovery ? null
            : FailureForecast.EttrOf(between, interval, TimeSpan.FromSeconds(timing.StallSeconds),
                TimeSpan.FromSeconds(timing.DurableSeconds),
                TimeSpan.FromSeconds(recovery));
    }
}
