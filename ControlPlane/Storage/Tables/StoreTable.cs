using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>One row: which database this is, and who works on it.</summary>
public sealed class StoreRow
{
    public required int Id { get; init; }

    /// <summary>Made with the tables and never changed: data directories remember it.</summary>
    public required string Identity { get; init; }

    /// <summary>Grows when nothing else is written, to see that something can be.</summary>
    public required long Beats { get; init; }

    /// <summary>Host, data directory and process that hold this database, for the words of who finds it taken.</summary>
    public required string Holder { get; init; }
}

internal sealed class StoreTable : IEntityTypeConfiguration<StoreRow>
{
    public void Configure(EntityTypeBuilder<StoreRow> table) => table.ToTable("store").HasKey(s => s.Id);
}
