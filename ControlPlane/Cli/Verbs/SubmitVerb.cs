using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Data;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class SubmitVerb
{
    public static Command Build(Terminal terminal)
    {
        var file = new Argument<string>("file") { Description = "Pipeline file, YAML or JSON; - reads standard input." };
        var name = new Option<string?>("--name") { Description = "Takes the place of the name in the file.", HelpName = "NAME" };
        var data = Data();
        var adopt = new Option<bool>("--adopt")
        {
            Description = "Go on from checkpoints that lie under this name already, of a run that the database does not know.",
        };
        var watch = new Option<bool>("--watch", "-w") { Description = "Stay until the run has ended; exit code 5 if it did not complete." };
        var command = new Command("submit", "Begins a run. The same file again is the same run.") { file, name, data, adopt, watch };
        command.SetAction(async (parsed, cancellation) =>
        {
            string path = parsed.GetValue(file) ?? "";
            string text = await PipelineSubmission.Read(path, cancellation);
            SubmitRunReply reply;
            using (var connection = await VerbAction.Connect(parsed, cancellation))
            {
                reply = await PipelineSubmission.Submit(connection.Client, path, text, parsed.GetValue(name) ?? "", cancellation,
                    parsed.GetValue(data), parsed.GetValue(adopt));
            }
            Report(terminal, parsed, path, reply);
            return parsed.GetValue(watch) ? await RunProgress.Watch(terminal, parsed, reply.Run.Name, cancellation) : ExitCode.Ok;
        });
        return command;
    }

    public static Option<string?> Data() => new("--data")
    {
        Description = "Your own .txt or .jsonl files, separated by commas: they take the place of data.source in the file.",
        HelpName = "PATH",
    };

    private static void Report(Terminal terminal, ParseResult parsed, string path, SubmitRunReply reply)
    {
        foreach (var warning in reply.Warnings)
        {
            terminal.Error.WriteLine(ProblemText.One(warning, path == "-" ? "" : path));
        }
        if (parsed.WantsJson())
        {
            terminal.Document.WriteLine(ProtoJson.Document(reply.Run));
            return;
        }
        terminal.Output.WriteLine(reply.Created
            ? $"{reply.Run.Name} is submitted. See it with `dsops show {reply.Run.Name}`."
            : $"{reply.Run.Name} was submitted before with the same pipeline; it is {reply.Run.State}.");
    }
}
