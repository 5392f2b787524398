using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Backups;

/// <summary>The last part of a file lists those before it.</summary>
public interface IListsParts
{
    ImmutableArray<BackupPart> Parts { get; }
}

/// <summary>What the file of one run says of itself; its last part.</summary>
/// <param name="Format">Of the file; another one is another layout.</param>
/// <param name="Version">Of the program that wrote it.</param>
/// <param name="Made">By the clock of the machine that wrote it.</param>
/// <param name="State">Of the run: it has ended.</param>
/// <param name="Simulated">No figure in it was measured.</param>
/// <param name="Migrations">Changes of the tables that its database had, in order.</param>
public sealed record RunManifest(
    int Format, string Version, DateTimeOffset Made, string Run, string Team, string State, bool Simulated,
    ImmutableArray<string> Migrations, ImmutableArray<BackupPart> Parts) : IListsParts;
