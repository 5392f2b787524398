using System.CommandLine;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class UrlVerb
{
    public static Command Build(Terminal terminal)
    {
        var command = new Command("url",
            "Prints the dashboard's address with the code that lets a browser in, as `dsops dev` did at its start.");
        command.SetAction(parsed =>
        {
            var found = ControlPlaneConnection.Running(parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory);
            string open = found.Open ?? found.Http;
            terminal.Document.WriteLine(parsed.WantsJson() ? ProtoJson.Document(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("open", open);
                writer.WriteEndObject();
            }) : open);
        });
        return command;
    }
}
