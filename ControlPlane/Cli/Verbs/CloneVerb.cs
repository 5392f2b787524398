using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class CloneVerb
{
    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var newName = new Argument<string>("new-name") { Description = "Name of the copy." };
        var command = new Command("clone", "Prints a run's pipeline under another name, to be changed and submitted.") { name, newName };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var reply = await client.CloneRunAsync(
                new CloneRunRequest { Name = parsed.GetValue(name), NewName = parsed.GetValue(newName) }, ControlPlaneConnection.Options(cancellation));
            await terminal.Output.WriteLineAsync(parsed.WantsJson() ? ProtoJson.Document(reply) : reply.Text.TrimEnd());
            return ExitCode.Ok;
        });
        return command;
    }
}
