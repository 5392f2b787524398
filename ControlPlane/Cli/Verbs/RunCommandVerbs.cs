using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>pause, resume, cancel: a word to a run, with the reason that its timeline will show.</summary>
internal static class RunCommandVerbs
{
    public static Command Build(
        Terminal terminal, string verb, string description,
        Func<OpsService.OpsServiceClient, RunCommand, CallOptions, AsyncUnaryCall<Run>> call, string reached)
    {
        var name = VerbAction.RunName();
        var reason = new Option<string?>("--reason") { Description = "Why, for the timeline.", HelpName = "TEXT" };
        var dryRun = DryRun.Option();
        var command = new Command(verb, description) { name, reason };
        if (verb is "pause" or "cancel")
        {
            command.Options.Add(dryRun);
        }
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            if (command.Options.Contains(dryRun) && parsed.GetValue(dryRun))
            {
                return await DryRun.Say(terminal, client, parsed, new ForeseeRequest { Action = verb, Run = parsed.GetValue(name) ?? "" },
                    cancellation);
            }
            var request = new RunCommand { Name = parsed.GetValue(name), Reason = parsed.GetValue(reason) ?? "" };
            var run = await call(client, request, ControlPlaneConnection.Options(cancellation));
            Said(terminal, parsed, run, reached);
            return ExitCode.Ok;
        });
        return command;
    }

    public static void Said(Terminal terminal, ParseResult parsed, Run run, string reached) =>
        terminal.Answer(parsed.WantsJson()).WriteLine(
        parsed.WantsJson() ? ProtoJson.Document(run)
        : run.State == reached ? $"{run.Name} is {run.State}."
        : Columns.Clean($"{run.Name} is {run.State}. {run.Reason}").TrimEnd());
}
