using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>The load of every expert in one step of a stage.</summary>
public sealed class ExpertLoadRow
{
    public required string Run { get; init; }

    public required string Stage { get; init; }

    public required int Attempt { get; init; }

    public required long Step { get; init; }

    public required DateTime At { get; init; }

    public required int FirstLayer { get; init; }

    public required int MtpBlocks { get; init; }

    public required int Experts { get; init; }

    /// <summary>The largest ratio of each row, little-endian float32: a line over the steps is drawn without the bodies.</summary>
    public required byte[] Busiest { get; init; }

    /// <summary>Ratios row after row, little-endian float16: three figures are more than a colour can show.</summary>
    public required byte[] Body { get; init; }
}

internal sealed class ExpertLoadTable : IEntityTypeConfiguration<ExpertLoadRow>
{
    public void Configure(EntityTypeBuilder<ExpertLoadRow> table) =>
        table.ToTable("expert_load").HasKey(l => new { l.Run, l.Stage, l.Attempt, l.Step });
}
