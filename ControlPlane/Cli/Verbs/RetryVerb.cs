using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class RetryVerb
{
    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var stage = new Option<string?>("--stage")
        {
            Description = "Stage to go on from. Default: the one that failed.",
            HelpName = "NAME",
        };
        var checkpoint = new Option<long?>("--from", "--checkpoint")
        {
            Description =
                "Step of a checkpoint of that stage; what is newer is set aside. 0 starts the stage over. Default: its newest good one.",
            HelpName = "STEP",
        };
        var dryRun = DryRun.Option();
        var command = new Command("retry",
            "Goes on from a stage, and a checkpoint of it; what came later in the run is done again.") { name, stage, checkpoint, dryRun };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var request = new RetryRunRequest { Name = parsed.GetValue(name), Stage = parsed.GetValue(stage) ?? "" };
            if (parsed.GetValue(checkpoint) is { } step)
            {
                request.CheckpointStep = step;
            }
            if (parsed.GetValue(dryRun))
            {
                var question = new ForeseeRequest { Action = "retry", Run = request.Name, Stage = request.Stage };
                if (request.HasCheckpointStep)
                {
                    question.CheckpointStep = request.CheckpointStep;
                }
                return await DryRun.Say(terminal, client, parsed, question, cancellation);
            }
            var run = await client.RetryRunAsync(request, ControlPlaneConnection.Options(cancellation));
            RunCommandVerbs.Said(terminal, parsed, run, "running");
            return ExitCode.Ok;
        });
        return command;
    }
}
