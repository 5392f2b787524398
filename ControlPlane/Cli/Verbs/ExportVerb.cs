using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Exports;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops export RUN`: its series, results and pipeline as other programs read them, or all of it for `dsops import`.</summary>
internal static class ExportVerb
{
    private const string Archive = "archive";

    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var folder = new Option<string>("--out")
        {
            Description = "Folder that it is written into; made where it is not there. Runs and formats may share one.", HelpName = "DIR",
            Required = true,
        };
        var format = new Option<string>("--format")
        {
            Description = "csv: a table for each stage, with what later attempts made again. parquet: the same in columns. tensorboard: "
                + "event files, for `tensorboard --logdir DIR/tensorboard`. mlflow: MLflow's file store, for `mlflow ui "
                + "--backend-store-uri DIR/mlruns`. archive: all of a run that has ended (logs, events, incidents and checkpoints' names "
                + "too) as DIR/RUN.dsops, which `dsops import` reads.",
            DefaultValueFactory = _ => "csv",
        };
        format.AcceptOnlyFromAmong("csv", "parquet", "tensorboard", "mlflow", Archive);
        var command = new Command("export",
            "Writes a run's series, results and pipeline into a folder, as tables, for TensorBoard or for MLflow. All of it is there or "
            + "nothing. Names are those that training programs usually have: train/loss, train/grad_norm, train/learning_rate, eval/….")
        {
            name, folder, format,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var connection = await VerbAction.Connect(parsed, cancellation);
            string run = parsed.GetValue(name) ?? "";
            if (parsed.GetValue(format) == Archive)
            {
                return await RunFiles.Export(terminal, connection, run, Path.GetFullPath(parsed.GetRequiredValue(folder)),
                    parsed.WantsJson(), cancellation);
            }

            var told = await connection.Client.GetRunAsync(new GetRunRequest { Name = run }, ControlPlaneConnection.Options(cancellation));
            var exported = await Write(connection, told, Path.GetFullPath(parsed.GetRequiredValue(folder)),
                parsed.GetValue(format) ?? "csv", cancellation);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("folder", exported.Folder);
                    writer.WriteNumber("stages", exported.Stages);
                    writer.WriteNumber("series", exported.Series);
                    writer.WriteNumber("points", exported.Points);
                    writer.WriteBoolean("simulated", told.Simulated);
                    writer.WriteEndObject();
                }));
                return ExitCode.Ok;
            }

            string points = exported.Points.ToString("N0", CultureInfo.InvariantCulture);
            string stages = Decisions.Words.Count(exported.Stages, "stage", "stages");
            await terminal.Output.WriteLineAsync($"{exported.Folder}: {points} points of {exported.Series} series in {stages}"
                + (told.Simulated ? "; simulated: no figure in it is measured." : "."));
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<Exported> Write(
        ControlPlaneConnection connection, Run run, string folder, string format, CancellationToken cancellation)
    {
        try
        {
            return await new RunExport(run, async (stage, token) => new StreamReader(await connection.Get(
                $"/series/export.csv?run={Uri.EscapeDataString(run.Name)}&stage={Uri.EscapeDataString(stage)}", token)))
                .Write(folder, format, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new RefusalException($"Nothing was exported: {e.Message.TrimEnd('.')}.",
                "Name another folder with --out, delete the earlier export, or free space there.", ExitCode.Failed, e);
        }
    }
}
