using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>Steps that the ranks of a stage recorded.</summary>
public sealed class TraceRow
{
    public required string Run { get; init; }

    public required long Id { get; init; }

    public required string Stage { get; init; }

    public required int Attempt { get; init; }

    public required DateTime At { get; init; }

    public required long FirstStep { get; init; }

    public required int Steps { get; init; }

    public required int Ranks { get; init; }

    /// <summary>The StageTrace as JSON, in Brotli.</summary>
    public required byte[] Body { get; init; }
}

internal sealed class TraceTable : IEntityTypeConfiguration<TraceRow>
{
    public void Configure(EntityTypeBuilder<TraceRow> table) => table.ToTable("trace").HasKey(t => new { t.Run, t.Id });
}
