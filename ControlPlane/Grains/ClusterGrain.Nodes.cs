using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Incidents of nodes: <see cref="NodeWatch"/> says when one is opened, and when it is over.</summary>
internal sealed partial class ClusterGrain
{
    /// <summary>Nothing waits for it: a gang that loses a node hears of it by its stage.</summary>
    private static readonly TimeSpan WatchEvery = TimeSpan.FromSeconds(5);

    private async Task WatchNodes(CancellationToken cancellation)
    {
        try
        {
            var (now, seen) = (clock.GetUtcNow(), await cluster.Observe(cancellation));
            var byPeople = state.State.Cordons.Select(c => c.Node).Concat(Maintenance.Covered(seen, Policy, now));
            var question = new NodeWatchQuestion(seen.With(tests.State.Known), state.State.Held, [.. byPeople], cluster.TimeFactor, now);
            await FollowTried(await Shown(cancellation));
            await KeepIncidents(NodeWatch.Look(incidents.State.Value, question));
            await TellIncidents(cancellation);
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            LogWatchFailed(failed);
        }
    }

    /// <summary>Written before it is told: what a crash leaves untold is told by a later turn.</summary>
    private async Task TellIncidents(CancellationToken cancellation)
    {
        var untold = incidents.State.Value.Untold;
        foreach (var incident in untold)
        {
            await ledger.RecordNodeIncident(incident, cancellation);
            LogIncident(incident.Id(), incident.State, incident.Sentence);
        }

        if (!untold.IsEmpty)
        {
            await KeepIncidents(incidents.State.Value with { Untold = [] });
        }
    }

    /// <summary>Who has been away for some seconds is known in memory alone: writing it down would be a write for each blink.</summary>
    private async Task KeepIncidents(NodeIncidents next)
    {
        var before = incidents.State;
        incidents.State = new NodeIncidentsRecord { Value = next };
        if (next.Untold == before.Value.Untold)
        {
            return;
        }

        bool written = false;
        try
        {
            await incidents.WriteStateAsync();
            written = true;
        }
        finally
        {
            incidents.State = written ? incidents.State : before;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Incident {Id} of a node, {State}: {Sentence}")]
    private partial void LogIncident(string id, IncidentState state, string sentence);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Nodes that are out could not be looked after")]
    private partial void LogWatchFailed(Exception failed);
}
