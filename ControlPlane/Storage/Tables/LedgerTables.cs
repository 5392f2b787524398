using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>One line of a timeline. Append-only.</summary>
public sealed class EventRow
{
    public required string Run { get; init; }

    /// <summary>Grows within the run by one.</summary>
    public required long Number { get; init; }

    public required DateTime At { get; init; }

    /// <summary>The RunEvent as JSON.</summary>
    public required string Body { get; init; }

    /// <summary>SHA-256 of the body: the same event told twice is one row.</summary>
    public required byte[] Digest { get; init; }
}

internal sealed class EventTable : IEntityTypeConfiguration<EventRow>
{
    public void Configure(EntityTypeBuilder<EventRow> table)
    {
        table.ToTable("event").HasKey(e => new { e.Run, e.Number });
        table.HasIndex(e => new { e.Run, e.Digest }).IsUnique();
        table.HasIndex(e => new { e.At, e.Number, e.Run });
    }
}

/// <summary>A run's last written view, with all that it says.</summary>
public sealed class RunRow
{
    public required string Name { get; init; }

    public required DateTime SubmittedAt { get; init; }

    public required string State { get; set; }

    /// <summary>The RunView as JSON.</summary>
    public required string Body { get; set; }
}

internal sealed class RunTable : IEntityTypeConfiguration<RunRow>
{
    public void Configure(EntityTypeBuilder<RunRow> table)
    {
        table.ToTable("run").HasKey(r => r.Name);
        table.HasIndex(r => r.SubmittedAt);
    }
}

public sealed class CheckpointRow
{
    public required string Run { get; init; }

    public required string Stage { get; init; }

    public required long Step { get; init; }

    public required string State { get; set; }

    public required DateTime At { get; set; }

    /// <summary>The StageCheckpoint as JSON.</summary>
    public required string Body { get; set; }
}

internal sealed class CheckpointTable : IEntityTypeConfiguration<CheckpointRow>
{
    public void Configure(EntityTypeBuilder<CheckpointRow> table) =>
        table.ToTable("checkpoint").HasKey(c => new { c.Run, c.Stage, c.Step });
}

/// <summary>Consecutive lines of one rank in one attempt, compressed together.</summary>
public sealed class LogChunkRow
{
    public required string Run { get; init; }

    public required string Stage { get; init; }

    public required int Attempt { get; init; }

    public required int Rank { get; init; }

    public required long FirstLine { get; init; }

    public required int Lines { get; init; }

    public required string Node { get; init; }

    public required DateTime FirstAt { get; init; }

    /// <summary>Brotli over one JSON array of [unix milliseconds, 1 for standard error else 0, text].</summary>
    public required byte[] Body { get; init; }
}

internal sealed class LogChunkTable : IEntityTypeConfiguration<LogChunkRow>
{
    public void Configure(EntityTypeBuilder<LogChunkRow> table) =>
        table.ToTable("log_chunk").HasKey(c => new { c.Run, c.Stage, c.Attempt, c.Rank, c.FirstLine });
}

/// <summary>Up to 512 consecutive points of one series. The head is the first level of the zoom pyramid.</summary>
public sealed class SeriesChunkRow
{
    public required string Run { get; init; }

    public required string Stage { get; init; }

    public required string Name { get; init; }

    public required int Attempt { get; init; }

    public required long FirstStep { get; init; }

    public required long LastStep { get; init; }

    /// <summary>Points with a finite value: those that min, max, sum and last are over. The body tells how many there are in all.</summary>
    public required int Points { get; init; }

    public required double Min { get; init; }

    public required double Max { get; init; }

    public required double Sum { get; init; }

    public required double Last { get; init; }

    /// <summary>Little-endian columns: int64 step[n], float64 tokens[n], float64 unix seconds[n], float64 value[n].</summary>
    public required byte[] Body { get; init; }
}

internal sealed class SeriesChunkTable : IEntityTypeConfiguration<SeriesChunkRow>
{
    public void Configure(EntityTypeBuilder<SeriesChunkRow> table) =>
        table.ToTable("series_chunk").HasKey(c => new { c.Run, c.Stage, c.Name, c.Attempt, c.FirstStep });
}
