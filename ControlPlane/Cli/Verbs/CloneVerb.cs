using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class CloneVerb
{
    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var newName = new Argument<string>("new-name") { Description = "Name of the copy." };
        var nodes = new Option<int>("--nodes") { Description = "Number of nodes for every stage, or only for --stage.", HelpName = "N" };
        var stage = new Option<string?>("--stage") { Description = "The stage that --nodes is for.", HelpName = "NAME" };
        var set = new Option<string[]>("--set")
        {
            Description = "Another value in the copy, such as seed=2 or stages.pretrain.tokens=300Ki; may be repeated.",
            HelpName = "KEY=VALUE", DefaultValueFactory = _ => [],
        };
        var command = new Command("clone", "Prints a run's pipeline under another name, to be changed and submitted.") { name, newName,
            nodes, stage, set };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var request = new CloneRunRequest
            {
                Name = parsed.GetValue(name), NewName = parsed.GetValue(newName), Nodes = parsed.GetValue(nodes),
                Stage = parsed.GetValue(stage) ?? "",
            };
            var reply = await client.CloneRunAsync(request, ControlPlaneConnection.Options(cancellation));
            reply.Text = Changed(reply.Text, parsed.GetRequiredValue(set));
            await terminal.Document.WriteLineAsync(parsed.WantsJson() ? ProtoJson.Document(reply) : reply.Text.TrimEnd());
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>The changed pipeline, checked as a file is. Its data files were found when the run was submitted.</summary>
    private static string Changed(string text, string[] changes)
    {
        if (changes.Length == 0)
        {
            return text;
        }
        var parse = PipelineText.Parse(text, settings: [.. changes.Select(Setting)]);
        return parse.Spec is { } spec ? PipelineText.ToYaml(spec) : throw PipelineFile.Refused(parse, "", "Correct the values of --set.");
    }

    private static PipelineSetting Setting(string change) => change.IndexOf('=', StringComparison.Ordinal) is > 0 and var at
        ? new PipelineSetting(change[..at].Trim(), change[(at + 1)..].Trim())
        : throw new RefusalException($"--set is '{change}'; it takes KEY=VALUE.", "Write for example --set seed=2.", ExitCode.Usage);
}
