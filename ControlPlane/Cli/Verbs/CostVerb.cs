using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops cost RUN`: where every GPU-second of a run went.</summary>
internal static class CostVerb
{
    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var command = new Command("cost",
            "Tells where every GPU-second of a run went until now, in hours and money, and what each fault cost.") { name };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var asked = new GetRunRequest { Name = parsed.GetValue(name) };
            var run = await client.GetRunAsync(asked, ControlPlaneConnection.Options(cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(Json(run));
            }
            else
            {
                CostText.Write(terminal, run);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static string Json(Run run) => ProtoJson.Document(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("run", run.Name);
        writer.WriteString("state", run.State);
        writer.WriteBoolean("simulated", run.Simulated);
        writer.WritePropertyName("cost");
        ProtoJson.Write(writer, run.Cost ?? new Cost());
        writer.WriteStartArray("stages");
        foreach (var stage in run.Stages)
        {
            writer.WriteStartObject();
            writer.WriteString("name", stage.Name);
            writer.WriteString("state", stage.State);
            writer.WritePropertyName("cost");
            ProtoJson.Write(writer, stage.Cost ?? new Cost());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
