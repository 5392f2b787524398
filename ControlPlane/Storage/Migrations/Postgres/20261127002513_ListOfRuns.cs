using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace DeepSeekOps.ControlPlane.Storage.Migrations.Postgres
{
    /// <inheritdoc />
    public partial class ListOfRuns : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "run_list",
                columns: table => new
                {
                    name = table.Column<string>(type: "text", nullable: false),
                    attention = table.Column<int>(type: "integer", nullable: false),
                    submitted_at = table.Column<DateTime>(type: "timestamp with time zone", nullable: false),
                    state = table.Column<string>(type: "text", nullable: false),
                    team = table.Column<string>(type: "text", nullable: false),
                    groups = table.Column<string>(type: "text", nullable: false),
                    search = table.Column<string>(type: "text", nullable: false),
                    summary = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_run_list", x => x.name);
                });

            migrationBuilder.CreateIndex(
                name: "ix_run_list_attention_submitted_at_name",
                table: "run_list",
                columns: new[] { "attention", "submitted_at", "name" },
                descending: new[] { false, true, false });

            migrationBuilder.CreateIndex(
                name: "ix_run_list_state",
                table: "run_list",
                column: "state");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "run_list");
        }
    }
}
