using System.Buffers.Binary;
using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Storage.ExpertLoads;

/// <summary>
/// Keeps the loads of experts that workers tell, by (run, stage, attempt, step), at most <see cref="KeptMax"/> of a stage: beyond that
/// each new one takes the place of the one that leaves the smallest gap, so that they stay about evenly spread over the steps.
/// </summary>
public sealed class ExpertLoadWriter(WriteLanes lanes, ChangeFeed feed)
{
    /// <summary>30 kB each for V3: a stage's part of the ledger stays below 8 MB.</summary>
    public const int KeptMax = 256;

    /// <summary>Beats that may wait for the database.</summary>
    public const int WaitingMax = 256;

    private const string Insert = """
        INSERT INTO expert_load (run, stage, attempt, step, at, first_layer, mtp_blocks, experts, busiest, body)
        VALUES (@run, @stage, @attempt, @step, @at, @first_layer, @mtp_blocks, @experts, @busiest, @body)
        ON CONFLICT (run, stage, attempt, step) DO NOTHING
        """;

    // The first and the newest stay. Those at either end of an attempt have no gap and go last.
    private const string Thin = """
        DELETE FROM expert_load WHERE run = @run AND stage = @stage AND (attempt, step) IN (
          SELECT attempt, step FROM (
            SELECT attempt, step, row_number() OVER (ORDER BY attempt, step) AS place, count(*) OVER () AS total,
              lead(step) OVER (PARTITION BY attempt ORDER BY step) - lag(step) OVER (PARTITION BY attempt ORDER BY step) AS gap
            FROM expert_load WHERE run = @run AND stage = @stage) AS spaced
          WHERE total > @kept AND place > 1 AND place < total ORDER BY gap NULLS LAST, attempt, step LIMIT 1)
        """;

    private int waiting;

    /// <summary>
    /// Never waits. Null: too much is waiting for the database, send it again later. The task ends when they are on the disk.
    /// </summary>
    public Task? TryWrite(StageId stage, ImmutableArray<ExpertLoad> loads)
    {
        if (Interlocked.Increment(ref waiting) > WaitingMax)
        {
            Interlocked.Decrement(ref waiting);
            return null;
        }

        return Write(stage, loads);
    }

    private async Task Write(StageId stage, ImmutableArray<ExpertLoad> loads)
    {
        try
        {
            await lanes.Run(stage.ToString(), [.. loads.SelectMany(load => Statements(stage, load))], CancellationToken.None);
            feed.Changed(stage.Run);
        }
        finally
        {
            Interlocked.Decrement(ref waiting);
        }
    }

    private static IEnumerable<Statement> Statements(StageId stage, ExpertLoad load) =>
    [
        new(Insert, ("run", stage.Run), ("stage", stage.Stage), ("attempt", load.Attempt), ("step", load.Step), ("at", load.At.UtcDateTime),
            ("first_layer", load.FirstLayer), ("mtp_blocks", load.MtpBlocks), ("experts", load.Experts),
            ("busiest", ExpertLoadBytes.OfSingles([.. load.Layers().Select(layer => (float)layer.Busiest)])),
            ("body", ExpertLoadBytes.OfHalves(load.Ratios))),
        new(Thin, ("run", stage.Run), ("stage", stage.Stage), ("kept", (long)KeptMax)),
    ];
}

/// <summary>Ratios as the table keeps them.</summary>
internal static class ExpertLoadBytes
{
    public static byte[] OfHalves(ImmutableArray<float> ratios)
    {
        byte[] bytes = new byte[ratios.Length * 2];
        for (int i = 0; i < ratios.Length; i++)
        {
            BinaryPrimitives.WriteHalfLittleEndian(bytes.AsSpan(2 * i), (Half)ratios[i]);
        }

        return bytes;
    }

    public static byte[] OfSingles(ImmutableArray<float> ratios)
    {
        byte[] bytes = new byte[ratios.Length * 4];
        for (int i = 0; i < ratios.Length; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4 * i), ratios[i]);
        }

        return bytes;
    }

    public static ImmutableArray<float> Halves(byte[] bytes) =>
        [.. Enumerable.Range(0, bytes.Length / 2).Select(i => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes.AsSpan(2 * i)))];

    public static ImmutableArray<float> Singles(byte[] bytes) =>
        [.. Enumerable.Range(0, bytes.Length / 4).Select(i => BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(4 * i)))];
}
