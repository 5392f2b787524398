using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class RunsVerb
{
    private static readonly Column[] Table =
    [
        new("RUN", 1), new("STATE", 2), new("STAGE", 3), new("STEP", 4, Right: true), new("LOSS", 5, Right: true), new("MFU", 7, Right: true),
        new("TEAM", 8), new("WHY", 6, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var part = new Argument<string?>("name") { Description = "Only runs whose name contains this.", Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("runs", "Lists runs, the newest first.") { part };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            await HealthLines.Write(client, terminal, cancellation);
            var runs = new List<Run>();
            var request = new ListRunsRequest { NameContains = parsed.GetValue(part) ?? "" };
            do
            {
                var reply = await client.ListRunsAsync(request, ControlPlaneConnection.Options(cancellation));
                runs.AddRange(reply.Runs);
                request.PageToken = reply.NextPageToken;
            }
            while (request.PageToken.Length > 0);

            if (parsed.WantsJson())
            {
                await terminal.Output.WriteLineAsync(ProtoJson.Document(runs));
            }
            else if (runs.Count == 0)
            {
                await terminal.Output.WriteLineAsync("No runs. Begin one with `dsops submit FILE`.");
            }
            else
            {
                if (runs.Any(run => run.Simulated))
                {
                    await terminal.Output.WriteLineAsync("Simulated: no figure here is measured.");
                }
                Write(terminal, runs);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    public static void Write(Terminal terminal, IEnumerable<Run> runs) => Columns.Write(terminal, Table, [.. runs.Select(run =>
    {
        var stage = Current(run);
        return (IReadOnlyList<string>)
        [
            run.Name, run.State, stage?.Name ?? Words.None, stage is null ? Words.None : Words.Steps(stage.Step, stage.TotalSteps),
            Words.Figure(stage is { HasLoss: true } ? stage.Loss : null), Words.Percent(stage is { HasMfu: true } ? stage.Mfu : null),
            run.Team, run.Reason + HealthLines.AsOf(run.AsOf ?? stage?.AsOf),
        ];
    })]);

    /// <summary>The stage that a run stands at: the last one that has begun.</summary>
    public static Stage? Current(Run run) => run.Stages.LastOrDefault(stage => stage.State != "waiting") ?? run.Stages.FirstOrDefault();
}
