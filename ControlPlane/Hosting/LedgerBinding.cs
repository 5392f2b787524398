using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.ControlPlane.Storage.ExpertLoads;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>What grains tell the ledger, bound to the writers that keep it.</summary>
internal static class LedgerBinding
{
    public static Ledger Of(IServiceProvider services)
    {
        var events = services.GetRequiredService<EventWriter>();
        var checkpoints = services.GetRequiredService<CheckpointRegistry>();
        var runs = services.GetRequiredService<RunRegistry>();
        var metrics = services.GetRequiredService<MetricWriter>();
        var experts = services.GetRequiredService<ExpertLoadWriter>();
        var incidents = services.GetRequiredService<IncidentStore>();
        var audit = services.GetRequiredService<AuditLog>();
        var traces = services.GetRequiredService<TraceStore>();
        var list = services.GetRequiredService<RunListQueries>();
        bool simulated = services.GetRequiredService<ITrainingCluster>().Simulated;
        return new Ledger
        {
            AppendEvents = (happened, cancellation) => events.Append(simulated ? [.. happened.Select(Labelled)] : happened, cancellation),
            RecordCheckpoints = async (stage, made, cancellation) =>
            {
                foreach (var checkpoint in made)
                {
                    await checkpoints.Record(stage, checkpoint, cancellation);
                }
            },
            RecordIncident = incidents.Record,
            RecordNodeIncident = (incident, cancellation) => incidents.Record(simulated ? Labelled(incident) : incident, cancellation),
            KeepEvidence = incidents.Keep,
            KeepTrace = traces.Keep,
            RecordActs = audit.Append,
            RecordRun = runs.Record,
            TakeSamples = (stage, samples) => metrics.TryWrite(stage, samples, out var durable) ? durable : null,
            TakeExpertLoads = experts.TryWrite,
            UnfinishedRuns = list.Unfinished,
        };
    }

    /// <summary>A sentence that is copied out of its page still says what it is.</summary>
    private static RunEvent Labelled(RunEvent told) => told with { Text = $"simulated: {told.Text}" };

    private static NodeIncident Labelled(NodeIncident incident) => incident with { Sentence = $"simulated: {incident.Sentence}" };
}
