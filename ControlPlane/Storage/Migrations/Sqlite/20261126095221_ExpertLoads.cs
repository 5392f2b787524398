using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace DeepSeekOps.ControlPlane.Storage.Migrations.Sqlite
{
    /// <inheritdoc />
    public partial class ExpertLoads : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "expert_load",
                columns: table => new
                {
                    run = table.Column<string>(type: "TEXT", nullable: false),
                    stage = table.Column<string>(type: "TEXT", nullable: false),
                    attempt = table.Column<int>(type: "INTEGER", nullable: false),
                    step = table.Column<long>(type: "INTEGER", nullable: false),
                    at = table.Column<DateTime>(type: "TEXT", nullable: false),
                    first_layer = table.Column<int>(type: "INTEGER", nullable: false),
                    mtp_blocks = table.Column<int>(type: "INTEGER", nullable: false),
                    experts = table.Column<int>(type: "INTEGER", nullable: false),
                    busiest = table.Column<byte[]>(type: "BLOB", nullable: false),
                    body = table.Column<byte[]>(type: "BLOB", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_expert_load", x => new { x.run, x.stage, x.attempt, x.step });
                });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "expert_load");
        }
    }
}
