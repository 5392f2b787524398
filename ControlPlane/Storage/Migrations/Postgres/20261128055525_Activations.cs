using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace DeepSeekOps.ControlPlane.Storage.Migrations.Postgres
{
    /// <inheritdoc />
    public partial class Activations : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "activation",
                columns: table => new
                {
                    grain_id = table.Column<string>(type: "text", nullable: false),
                    silo = table.Column<string>(type: "text", nullable: false),
                    activation_id = table.Column<string>(type: "text", nullable: false),
                    member_version = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_activation", x => x.grain_id);
                });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "activation");
        }
    }
}
