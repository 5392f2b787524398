using System.CommandLine;
using System.Runtime.InteropServices;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class InfoVerbs
{
    public static Command Schema(Terminal terminal)
    {
        var command = new Command("schema", "Prints the JSON Schema of pipeline files, for editors to complete and check them.");
        command.SetAction(_ => terminal.Document.Write(PipelineText.Schema()));
        return command;
    }

    /// <summary>Of this program, and of the control plane where one answers.</summary>
    public static Command Version(Terminal terminal)
    {
        var command = new Command("version", "Prints the version of this program and, if one runs, of the control plane.");
        command.SetAction(async (parsed, cancellation) =>
        {
            GetVersionReply? server = null;
            try
            {
                using var connection = await VerbAction.Connect(parsed, cancellation);
                server = await connection.Client.GetVersionAsync(new GetVersionRequest(), ControlPlaneConnection.Options(cancellation));
            }
            catch (RefusalException e) when (e.Code == ExitCode.NotReachable && parsed.GetValue(CommonOptions.Server) is null)
            {
                // Nothing runs here: the program's own version is the answer.
            }
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("version", ProgramVersion.Text);
                    writer.WriteString("runtime", RuntimeInformation.FrameworkDescription);
                    writer.WritePropertyName("controlPlane");
                    if (server is null)
                    {
                        writer.WriteNullValue();
                    }
                    else
                    {
                        ProtoJson.Write(writer, server);
                    }
                    writer.WriteEndObject();
                }));
                return ExitCode.Ok;
            }
            await terminal.Output.WriteLineAsync($"dsops          {ProgramVersion.Text}");
            await terminal.Output.WriteLineAsync($"runtime        {RuntimeInformation.FrameworkDescription}");
            await terminal.Output.WriteLineAsync($"control plane  {server?.Version ?? "none running here"}");
            if (server is not null)
            {
                await terminal.Output.WriteLineAsync(
                    $"               {server.Database}, {server.Cluster} cluster, worker protocol {server.WorkerProtocol}");
            }
            return ExitCode.Ok;
        });
        return command;
    }
}
