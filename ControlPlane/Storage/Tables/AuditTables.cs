using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>One line of the audit log. Append-only; each is chained to the one before it and sealed.</summary>
public sealed class AuditRow
{
    /// <summary>From 1, without a gap.</summary>
    public required long Number { get; init; }

    /// <summary>The act's id: told twice it is one line.</summary>
    public required string Act { get; init; }

    /// <summary>Empty: of no run.</summary>
    public required string Run { get; init; }

    public required DateTime At { get; init; }

    /// <summary>Number and AuditAct as JSON. The columns before it only find it.</summary>
    public required string Body { get; init; }

    public required byte[] Previous { get; init; }

    public required byte[] Hash { get; init; }

    public required byte[] Seal { get; init; }

    /// <summary>Which key sealed it.</summary>
    public required string SealedBy { get; init; }
}

/// <summary>How far the chain reaches; one row, which whoever appends waits for.</summary>
public sealed class AuditHeadRow
{
    public required int Id { get; init; }

    public required long Number { get; init; }

    public required byte[] Hash { get; init; }

    public required byte[] Seal { get; init; }

    /// <summary>Empty: no line was written yet.</summary>
    public required string SealedBy { get; init; }
}

internal sealed class AuditTable : IEntityTypeConfiguration<AuditRow>
{
    public void Configure(EntityTypeBuilder<AuditRow> table)
    {
        table.ToTable("audit").HasKey(a => a.Number);
        table.Property(a => a.Number).ValueGeneratedNever();
        table.HasIndex(a => a.Act).IsUnique();
        table.HasIndex(a => new { a.Run, a.Number });
    }
}

internal sealed class AuditHeadTable : IEntityTypeConfiguration<AuditHeadRow>
{
    public void Configure(EntityTypeBuilder<AuditHeadRow> table)
    {
        table.ToTable("audit_head").HasKey(h => h.Id);
        table.Property(h => h.Id).ValueGeneratedNever();
    }
}
