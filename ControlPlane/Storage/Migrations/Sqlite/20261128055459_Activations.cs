using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace DeepSeekOps.ControlPlane.Storage.Migrations.Sqlite
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
                    grain_id = table.Column<string>(type: "TEXT", nullable: false),
                    silo = table.Column<string>(type: "TEXT", nullable: false),
                    activation_id = table.Column<string>(type: "TEXT", nullable: false),
                    member_version = table.Column<long>(type: "INTEGER", nullable: false)
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
