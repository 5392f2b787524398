using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Backups;

/// <summary>What a backup says of itself; the last part of its file.</summary>
/// <param name="Format">Of the file; another one is another layout.</param>
/// <param name="Version">Of the program that wrote it.</param>
/// <param name="Made">The moment that it shows, by the clock of the machine that wrote it.</param>
/// <param name="Source">"sqlite" or "postgresql".</param>
/// <param name="Place">Where that database was; never a password.</param>
/// <param name="Identity">Of that database. One that is made of it gets another.</param>
/// <param name="Migrations">Changes of the tables that it has, in order, without the time of their making: it differs by database.</param>
/// <param name="SealedBy">Which key sealed the newest line of the audit log; empty: it has none.</param>
/// <param name="Runs">All runs.</param>
/// <param name="Unfinished">Those that go on from it.</param>
/// <param name="Checkpoints">Those that could be gone on from. They are named and not in the file.</param>
/// <param name="Parts">In the order of the file.</param>
public sealed record BackupManifest(
    int Format, string Version, DateTimeOffset Made, string Source, string Place, string Identity, ImmutableArray<string> Migrations,
    string SealedBy, int Runs, int Unfinished, ImmutableArray<NamedCheckpoint> Checkpoints, ImmutableArray<BackupPart> Parts) : IListsParts;

/// <summary>A checkpoint that a backup names.</summary>
/// <param name="Path">Folder, relative to the cluster's checkpoint root.</param>
/// <param name="Digest">SHA-256 of its manifest.json, hex.</param>
/// <param name="Stored">Its copy in a store; null: there is none.</param>
public sealed record NamedCheckpoint(string Run, string Stage, long Step, string Path, string Digest, long Bytes, string? Stored);

/// <summary>A table in the file of a backup.</summary>
/// <param name="Name">Of the table.</param>
/// <param name="Digest">SHA-256 of the part as it lies in the file, hex.</param>
public sealed record BackupPart(string Name, long Rows, string Digest);
