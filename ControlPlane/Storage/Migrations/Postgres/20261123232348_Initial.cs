using System;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace DeepSeekOps.ControlPlane.Storage.Migrations.Postgres
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "checkpoint",
                columns: table => new
                {
                    run = table.Column<string>(type: "text", nullable: false),
                    stage = table.Column<string>(type: "text", nullable: false),
                    step = table.Column<long>(type: "bigint", nullable: false),
                    state = table.Column<string>(type: "text", nullable: false),
                    at = table.Column<DateTime>(type: "timestamp with time zone", nullable: false),
                    body = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_checkpoint", x => new { x.run, x.stage, x.step });
                });

            migrationBuilder.CreateTable(
                name: "event",
                columns: table => new
                {
                    run = table.Column<string>(type: "text", nullable: false),
                    number = table.Column<long>(type: "bigint", nullable: false),
                    at = table.Column<DateTime>(type: "timestamp with time zone", nullable: false),
                    body = table.Column<string>(type: "text", nullable: false),
                    digest = table.Column<byte[]>(type: "bytea", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_event", x => new { x.run, x.number });
                });

            migrationBuilder.CreateTable(
                name: "grain_state",
                columns: table => new
                {
                    state_name = table.Column<string>(type: "text", nullable: false),
                    grain_id = table.Column<string>(type: "text", nullable: false),
                    version = table.Column<long>(type: "bigint", nullable: false),
                    payload = table.Column<byte[]>(type: "bytea", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_grain_state", x => new { x.state_name, x.grain_id });
                });

            migrationBuilder.CreateTable(
                name: "log_chunk",
                columns: table => new
                {
                    run = table.Column<string>(type: "text", nullable: false),
                    stage = table.Column<string>(type: "text", nullable: false),
                    attempt = table.Column<int>(type: "integer", nullable: false),
                    rank = table.Column<int>(type: "integer", nullable: false),
                    first_line = table.Column<long>(type: "bigint", nullable: false),
                    lines = table.Column<int>(type: "integer", nullable: false),
                    node = table.Column<string>(type: "text", nullable: false),
                    first_at = table.Column<DateTime>(type: "timestamp with time zone", nullable: false),
                    body = table.Column<byte[]>(type: "bytea", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_log_chunk", x => new { x.run, x.stage, x.attempt, x.rank, x.first_line });
                });

            migrationBuilder.CreateTable(
                name: "member",
                columns: table => new
                {
                    silo = table.Column<string>(type: "text", nullable: false),
                    etag = table.Column<long>(type: "bigint", nullable: false),
                    alive_at = table.Column<DateTime>(type: "timestamp with time zone", nullable: false),
                    body = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_member", x => x.silo);
                });

            migrationBuilder.CreateTable(
                name: "member_version",
                columns: table => new
                {
                    id = table.Column<int>(type: "integer", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    version = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_member_version", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "reminder",
                columns: table => new
                {
                    grain_id = table.Column<string>(type: "text", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    start_at = table.Column<DateTime>(type: "timestamp with time zone", nullable: false),
                    period_ticks = table.Column<long>(type: "bigint", nullable: false),
                    grain_hash = table.Column<long>(type: "bigint", nullable: false),
                    etag = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_reminder", x => new { x.grain_id, x.name });
                });

            migrationBuilder.CreateTable(
                name: "run",
                columns: table => new
                {
                    name = table.Column<string>(type: "text", nullable: false),
                    submitted_at = table.Column<DateTime>(type: "timestamp with time zone", nullable: false),
                    state = table.Column<string>(type: "text", nullable: false),
                    body = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_run", x => x.name);
                });

            migrationBuilder.CreateTable(
                name: "series_chunk",
                columns: table => new
                {
                    run = table.Column<string>(type: "text", nullable: false),
                    stage = table.Column<string>(type: "text", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    attempt = table.Column<int>(type: "integer", nullable: false),
                    first_step = table.Column<long>(type: "bigint", nullable: false),
                    last_step = table.Column<long>(type: "bigint", nullable: false),
                    points = table.Column<int>(type: "integer", nullable: false),
                    min = table.Column<double>(type: "double precision", nullable: false),
                    max = table.Column<double>(type: "double precision", nullable: false),
                    sum = table.Column<double>(type: "double precision", nullable: false),
                    last = table.Column<double>(type: "double precision", nullable: false),
                    body = table.Column<byte[]>(type: "bytea", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_series_chunk", x => new { x.run, x.stage, x.name, x.attempt, x.first_step });
                });

            migrationBuilder.CreateIndex(
                name: "ix_event_run_digest",
                table: "event",
                columns: new[] { "run", "digest" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_reminder_grain_hash",
                table: "reminder",
                column: "grain_hash");

            migrationBuilder.CreateIndex(
                name: "ix_run_submitted_at",
                table: "run",
                column: "submitted_at");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "checkpoint");

            migrationBuilder.DropTable(
                name: "event");

            migrationBuilder.DropTable(
                name: "grain_state");

            migrationBuilder.DropTable(
                name: "log_chunk");

            migrationBuilder.DropTable(
                name: "member");

            migrationBuilder.DropTable(
                name: "member_version");

            migrationBuilder.DropTable(
                name: "reminder");

            migrationBuilder.DropTable(
                name: "run");

            migrationBuilder.DropTable(
                name: "series_chunk");
        }
    }
}
