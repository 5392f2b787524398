using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>An incident of a stage, or of a node, as it was last written.</summary>
public sealed class IncidentRow
{
    /// <summary>Empty: of a node.</summary>
    public required string Run { get; init; }

    /// <summary>Of a node: its name.</summary>
    public required string Stage { get; init; }

    public required int Number { get; init; }

    public required string State { get; set; }

    /// <summary>When it was opened.</summary>
    public required DateTime At { get; init; }

    /// <summary>The Incident, or NodeIncident, as JSON.</summary>
    public required string Body { get; set; }

    /// <summary>How right a person found the diagnosis. Null: nobody has said.</summary>
    public int? Grade { get; set; }

    public DateTime? GradedAt { get; set; }
}

internal sealed class IncidentTable : IEntityTypeConfiguration<IncidentRow>
{
    public void Configure(EntityTypeBuilder<IncidentRow> table)
    {
        table.ToTable("incident").HasKey(i => new { i.Run, i.Stage, i.Number });
        table.HasIndex(i => i.At);
    }
}

/// <summary>What was known of an attempt when it failed.</summary>
public sealed class EvidenceRow
{
    public required string Run { get; init; }

    public required string Stage { get; init; }

    public required int Attempt { get; init; }

    public required DateTime At { get; init; }

    /// <summary>The Evidence as JSON, in Brotli.</summary>
    public required byte[] Body { get; init; }
}

internal sealed class EvidenceTable : IEntityTypeConfiguration<EvidenceRow>
{
    public void Configure(EntityTypeBuilder<EvidenceRow> table) =>
        table.ToTable("evidence").HasKey(e => new { e.Run, e.Stage, e.Attempt });
}
