using DeepSeekOps.ControlPlane.Storage.Tables;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// The one model of the ledger, on two databases. Only migrations and reads for people go through it; hot writes are plain SQL that
/// both databases accept.
/// </summary>
public abstract class OpsDb(DbContextOptions options) : DbContext(options)
{
    public DbSet<EventRow> Events => Set<EventRow>();

    public DbSet<RunRow> Runs => Set<RunRow>();

    public DbSet<RunListRow> RunList => Set<RunListRow>();

    public DbSet<CheckpointRow> Checkpoints => Set<CheckpointRow>();

    public DbSet<LogChunkRow> LogChunks => Set<LogChunkRow>();

    public DbSet<SeriesChunkRow> SeriesChunks => Set<SeriesChunkRow>();

    public DbSet<IncidentRow> Incidents => Set<IncidentRow>();

    public DbSet<EvidenceRow> Evidence => Set<EvidenceRow>();

    public DbSet<ExpertLoadRow> ExpertLoads => Set<ExpertLoadRow>();

    public DbSet<TraceRow> Traces => Set<TraceRow>();

    public DbSet<AuditRow> Audit => Set<AuditRow>();

    public DbSet<AuditHeadRow> AuditHeads => Set<AuditHeadRow>();

    public DbSet<AccessTokenRow> AccessTokens => Set<AccessTokenRow>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        ArgumentNullException.ThrowIfNull(modelBuilder);
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(OpsDb).Assembly);
    }
}

public sealed class SqliteOpsDb(DbContextOptions<SqliteOpsDb> options) : OpsDb(options);

public sealed class PostgresOpsDb(DbContextOptions<PostgresOpsDb> options) : OpsDb(options);

/// <summary>
/// For `dotnet ef migrations add NAME --context SqliteOpsDb --output-dir Storage/Migrations/Sqlite`; never used at run time.
/// </summary>
internal sealed class SqliteDesign : IDesignTimeDbContextFactory<SqliteOpsDb>
{
    public SqliteOpsDb CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<SqliteOpsDb>().UseSqlite("Data Source=design.db").UseSnakeCaseNamingConvention().Options);
}

/// <inheritdoc cref="SqliteDesign"/>
internal sealed class PostgresDesign : IDesignTimeDbContextFactory<PostgresOpsDb>
{
    public PostgresOpsDb CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<PostgresOpsDb>().UseNpgsql("Host=design").UseSnakeCaseNamingConvention().Options);
}
