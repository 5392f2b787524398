using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>The list of runs as they were last written; what a run is now, its grain says.</summary>
public sealed class RunRegistry(WriteLanes lanes, ChangeFeed feed)
{
    private const string Upsert = """
        INSERT INTO run (name, submitted_at, state, body) VALUES (@name, @submitted, @state, @body)
        ON CONFLICT (name) DO UPDATE SET state = excluded.state, body = excluded.body
        """;

    public async Task Record(RunView run, CancellationToken cancellation)
    {
        await lanes.Run(run.Name, [new Statement(Upsert,
            ("name", run.Name), ("submitted", run.SubmittedAt.UtcDateTime), ("state", run.State), ("body", LedgerJson.Write(run)))], cancellation);
        feed.Changed(run.Name);
    }
}

/// <summary>Every checkpoint that was made, and what became of it.</summary>
public sealed class CheckpointRegistry(WriteLanes lanes, ChangeFeed feed)
{
    private const string Upsert = """
        INSERT INTO checkpoint (run, stage, step, state, at, body) VALUES (@run, @stage, @step, @state, @at, @body)
        ON CONFLICT (run, stage, step) DO UPDATE SET state = excluded.state, at = excluded.at, body = excluded.body
        """;

    public async Task Record(StageId stage, StageCheckpoint checkpoint, CancellationToken cancellation)
    {
        await lanes.Run(stage.Run, [new Statement(Upsert,
            ("run", stage.Run), ("stage", stage.Stage), ("step", checkpoint.Made.Step), ("state", checkpoint.State.ToString()),
            ("at", checkpoint.Made.At.UtcDateTime), ("body", LedgerJson.Write(checkpoint)))], cancellation);
        feed.Changed(stage.Run);
    }
}
