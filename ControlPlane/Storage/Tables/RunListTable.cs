using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace DeepSeekOps.ControlPlane.Storage.Tables;

/// <summary>
/// A run as the list of runs needs it. A table of its own: SQLite reads a row from its beginning, and beside a pipeline's text of 94 kB
/// each look through thousands of names would read all the texts.
/// </summary>
public sealed class RunListRow
{
    public required string Name { get; init; }

    /// <summary>Where it stands in the list: 0 runs, 1 failed, 2 waits or is paused, 3 ended otherwise.</summary>
    public required int Attention { get; set; }

    public required DateTime SubmittedAt { get; init; }

    public required string State { get; set; }

    /// <summary>In small letters.</summary>
    public required string Team { get; set; }

    /// <summary>Node groups, a line each, in small letters.</summary>
    public required string Groups { get; set; }

    /// <summary>RunSearch.TextOf the run.</summary>
    public required string Search { get; set; }

    /// <summary>RunView.Summary() as JSON.</summary>
    public required string Summary { get; set; }
}

internal sealed class RunListTable : IEntityTypeConfiguration<RunListRow>
{
    public void Configure(EntityTypeBuilder<RunListRow> table)
    {
        table.ToTable("run_list").HasKey(r => r.Name);
        // The order of the list, which is also the order of its page tokens.
        table.HasIndex(r => new { r.Attention, r.SubmittedAt, r.Name }).IsDescending(false, true, false);
        table.HasIndex(r => r.State);
    }
}
