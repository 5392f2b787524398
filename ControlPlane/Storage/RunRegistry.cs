using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>The list of runs as they were last written; what a run is now, its grain says.</summary>
public sealed class RunRegistry(WriteLanes lanes, ChangeFeed feed)
{
    private const string Upsert = """
        INSERT INTO run (name, submitted_at, state, body) VALUES (@name, @submitted, @state, @body)
        ON CONFLICT (name) DO UPDATE SET state = excluded.state, body = excluded.body
        """;

    private const string UpsertListed = """
        INSERT INTO run_list (name, attention, submitted_at, state, team, groups, search, summary)
        VALUES (@name, @attention, @submitted, @state, @team, @groups, @search, @summary)
        ON CONFLICT (name) DO UPDATE SET attention = excluded.attention, state = excluded.state, team = excluded.team,
        groups = excluded.groups, search = excluded.search, summary = excluded.summary
        """;

    public async Task Record(RunView run, CancellationToken cancellation)
    {
        await lanes.Run(run.Name,
        [
            new Statement(Upsert,
                ("name", run.Name), ("submitted", run.SubmittedAt.UtcDateTime), ("state", run.State), ("body", LedgerJson.Write(run))),
            Listed(run),
        ], cancellation);
        feed.RunRecorded(run.Name);
    }

    /// <summary>Its row in the list; Storage also writes those of runs that were recorded before there was one.</summary>
    internal static Statement Listed(RunView run) => new(UpsertListed,
        ("name", run.Name), ("attention", run.State switch { "failed" => 1, "queued" or "paused" => 2, _ when run.Ended => 3, _ => 0 }),
        ("submitted", run.SubmittedAt.UtcDateTime),
        ("state", run.State), ("team", run.Team.ToLowerInvariant()), ("groups", string.Join('\n', run.Groups).ToLowerInvariant()),
        ("search", RunSearch.TextOf(run)), ("summary", LedgerJson.Write(run.Summary())));
}
