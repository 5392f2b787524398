using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace DeepSeekOps.ControlPlane.Storage.Migrations.Postgres
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
                    run = table.Column<string>(type: "text", nullable: false),
                    stage = table.Column<string>(type: "text", nullable: false),
                    attempt = table.Column<int>(type: "integer", nullable: false),
                    step = table.Column<long>(type: "bigint", nullable: false),
                    at = table.Column<DateTime>(type: "timestamp with time zone", nullable: false),
                    first_layer = table.Column<int>(type: "integer", nullable: false),
                    mtp_blocks = table.Column<int>(type: "integer", nullable: false),
                    experts = table.Column<int>(type: "integer", nullable: false),
                    busiest = table.Column<byte[]>(type: "bytea", nullable: false),
                    body = table.Column<byte[]>(type: "bytea", nullable: false)
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
