using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>A grain's state: what Orleans writes before a grain acts.</summary>
public sealed class GrainStateRow
{
    public required string StateName { get; init; }

    public required string GrainId { get; init; }

    /// <summary>Counts writes; a write with an older one is refused.</summary>
    public required long Version { get; init; }

    public required byte[] Payload { get; init; }
}

internal sealed class GrainStateTable : IEntityTypeConfiguration<GrainStateRow>
{
    public void Configure(EntityTypeBuilder<GrainStateRow> table) =>
        table.ToTable("grain_state").HasKey(s => new { s.StateName, s.GrainId });
}

public sealed class ReminderRow
{
    public required string GrainId { get; init; }

    public required string Name { get; init; }

    public required DateTime StartAt { get; init; }

    public required long PeriodTicks { get; init; }

    /// <summary>The grain's uniform hash; a silo reads the range that it owns.</summary>
    public required long GrainHash { get; init; }

    public required string Etag { get; init; }
}

internal sealed class ReminderTable : IEntityTypeConfiguration<ReminderRow>
{
    public void Configure(EntityTypeBuilder<ReminderRow> table)
    {
        table.ToTable("reminder").HasKey(r => new { r.GrainId, r.Name });
        table.HasIndex(r => r.GrainHash);
    }
}

/// <summary>A silo's entry in the membership table.</summary>
public sealed class MemberRow
{
    public required string Silo { get; init; }

    public required long Etag { get; init; }

    public required DateTime AliveAt { get; init; }

    /// <summary>The MembershipEntry as JSON.</summary>
    public required string Body { get; init; }
}

internal sealed class MemberTable : IEntityTypeConfiguration<MemberRow>
{
    public void Configure(EntityTypeBuilder<MemberRow> table) => table.ToTable("member").HasKey(m => m.Silo);
}

/// <summary>Which silo has a grain awake, while several work at the same time.</summary>
public sealed class ActivationRow
{
    public required string GrainId { get; init; }

    public required string Silo { get; init; }

    public required string ActivationId { get; init; }

    /// <summary>The version of the membership table that the silo knew when it registered.</summary>
    public required long MemberVersion { get; init; }
}

internal sealed class ActivationTable : IEntityTypeConfiguration<ActivationRow>
{
    public void Configure(EntityTypeBuilder<ActivationRow> table) => table.ToTable("activation").HasKey(a => a.GrainId);
}

/// <summary>One row: the version of the whole membership table.</summary>
public sealed class MemberVersionRow
{
    public required int Id { get; init; }

    public required long Version { get; init; }
}

internal sealed class MemberVersionTable : IEntityTypeConfiguration<MemberVersionRow>
{
    public void Configure(EntityTypeBuilder<MemberVersionRow> table) => table.ToTable("member_version").HasKey(v => v.Id);
}
