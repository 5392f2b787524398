using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;

namespace DeepSeekOps.ControlPlane.Storage;

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
