using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.Decisions.Drills;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>What was written of a stage since a moment at which nobody could write: what a drill of an outage is scored by.</summary>
public sealed class OutageLedger(OpsConnections connections, HistoryQueries history)
{
    /// <summary>Of one run: an outage is told by one event a node.</summary>
    private const int EventsLookedAt = 1_000;

    /// <summary>The database's file. Empty: it is no file of ours.</summary>
    public string File => (connections.Database as OpsDatabase.Sqlite)?.Path ?? "";

    /// <summary>Why the command cannot strike here, with what to do; empty: it can.</summary>
    public string Refusal(DrillFault fault, bool simulated) => (fault, File.Length, simulated) switch
    {
        (DrillFault.DatabaseDown, 0, _) => "The database is a PostgreSQL server that this control plane did not start, and others may use "
            + "it: it is not stopped from here. Stop it yourself and look at `dsops events`, or drill `dsops dev` without --database.",
        (_, _, true) => "A simulated cluster lives in the control plane and ends with it. `dsops dev --drills` on local processes knows "
            + "this fault.",
        _ => "",
    };

    public async Task<OutageFacts> Since(DrillTruth truth, int attempt, CancellationToken cancellation)
    {
        var told = await history.NewestEvents(truth.Stage.Run, EventsLookedAt, cancellation);
        await using var context = connections.Context();
        var bodies = await context.SeriesChunks
            .Where(c => c.Run == truth.Stage.Run && c.Stage == truth.Stage.Stage && c.Name == "loss" && c.Attempt == truth.Attempt
                && c.LastStep > truth.Step)
            .OrderBy(c => c.FirstStep).Select(c => c.Body).ToListAsync(cancellation);
        var points = new SeriesPoints();
        bodies.ForEach(body => points.AddBody(body, truth.Step + 1));
        long newest = points.Count == 0 ? truth.Step : points.Step.Max();
        DateTimeOffset? at = points.Count == 0 ? null : DateTimeOffset.UnixEpoch.AddSeconds(points.UnixSeconds.Max());
        string back = told.LastOrDefault(e => e.Kind == "agent-back" && e.Stage == truth.Stage.Stage && e.At >= truth.At)?.Text ?? "";
        return new OutageFacts(attempt, back, newest, at, newest - truth.Step - points.Step.Distinct().Count());
    }
}
