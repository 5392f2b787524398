using System.CommandLine;
using System.Globalization;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Throughput;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops mfu --golden`: the published utilisation figures, each from its own formula. Needs no control plane.</summary>
internal static class MfuVerb
{
    public static Command Build(Terminal terminal)
    {
        var golden = new Option<bool>("--golden")
        {
            Description = "The published figures beside what their formulas give.",
            Required = true,
        };
        var command = new Command("mfu", "Model FLOPs utilisation: the formulas, held against what was published.") { golden };
        command.SetAction(async (parsed, _) =>
        {
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(Json());
            }
            else
            {
                Table(terminal);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    private static string Json() => ProtoJson.Document(writer =>
    {
        writer.WriteStartArray();
        foreach (var figure in GoldenMfu.Table)
        {
            writer.WriteStartObject();
            writer.WriteString("id", figure.Id);
            writer.WriteNumber("computed", Math.Round(figure.Computed, 4));
            if (figure.Published is { } published)
            {
                writer.WriteNumber("published", published);
            }
            else
            {
                writer.WriteNull("published");
            }
            writer.WriteBoolean("reproducible", figure.Reproducible);
            writer.WriteString("source", figure.Source);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    });

    private static void Table(Terminal terminal)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("figure", "computed", "published", "", "source");
        table.Columns[1].RightAligned();
        table.Columns[2].RightAligned();
        foreach (var figure in GoldenMfu.Table)
        {
            table.AddRow(
                figure.Id, figure.Computed.ToString("0.000", CultureInfo.InvariantCulture),
                figure.Published?.ToString(CultureInfo.InvariantCulture) ?? "-",
                figure.Reproducible ? "" : "claimed, not reproducible", Markup.Escape(figure.Source));
        }
        terminal.Ansi().Write(table);
    }
}
