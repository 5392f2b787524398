using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class CloneVerb
{
    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var newName = new Argument<string>("new-name") { Description = "Name of the copy." };
        var nodes = new Option<int>("--nodes") { Description = "Ask for so many nodes instead; of every stage, or of --stage.", HelpName = "N" };
        var stage = new Option<string?>("--stage") { Description = "The stage that --nodes is for.", HelpName = "NAME" };
        var command = new Command("clone", "Prints a run's pipeline under another name, to be changed and submitted.") { name, newName, nodes, stage };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var request = new CloneRunRequest
            {
                Name = parsed.GetValue(name), NewName = parsed.GetValue(newName), Nodes = parsed.GetValue(nodes), Stage = parsed.GetValue(stage) ?? "",
            };
            var reply = await client.CloneRunAsync(request, ControlPlaneConnection.Options(cancellation));
            await terminal.Output.WriteLineAsync(parsed.WantsJson() ? ProtoJson.Document(reply) : reply.Text.TrimEnd());
            return ExitCode.Ok;
        });
        return command;
    }
}
