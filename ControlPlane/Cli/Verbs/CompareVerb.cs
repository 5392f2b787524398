using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops compare RUN RUN…`: how runs differ, in what they were asked for and in what came of it at one step.</summary>
internal static class CompareVerb
{
    /// <summary>More do not fit on a screen, and each is two calls.</summary>
    private const int RunsMost = 32;

    public static Command Build(Terminal terminal)
    {
        var names = new Argument<string[]>("runs")
        {
            Description = "Names of two runs or more; the first is what the others are held against.",
            Arity = new ArgumentArity(2, RunsMost),
        };
        var stage = new Option<string?>("--stage")
        {
            Description = "The stage to compare in; left out: the last in which all of them have made steps.", HelpName = "NAME",
        };
        var step = new Option<long?>("--step")
        {
            Description = "The step to compare at; left out: the last that all of them have made.", HelpName = "N",
        };
        var command = new Command("compare",
            "Holds runs against each other: what differs in their pipelines, and their figures at one step.")
        {
            names, stage, step,
        };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            string[] asked = parsed.GetRequiredValue(names);
            if (asked.GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice)
            {
                throw new RefusalException($"'{twice.Key}' is named twice.", "Name each run once.", ExitCode.Usage);
            }

            var comparison = await Look(client, asked, parsed.GetValue(stage), parsed.GetValue(step), cancellation);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(comparison.Json());
            }
            else
            {
                comparison.Write(terminal);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<Comparison> Look(
        OpsService.OpsServiceClient client, string[] names, string? stage, long? step, CancellationToken cancellation)
    {
        var options = ControlPlaneConnection.Options(cancellation);
        var runs = await Task.WhenAll(names.Select(name => client.GetRunAsync(new GetRunRequest { Name = name }, options).ResponseAsync));
        var all = await Task.WhenAll(names.Select(name =>
            client.ListSeriesAsync(new ListSeriesRequest { Run = name }, options).ResponseAsync));
        var specs = runs.Select(run => PipelineText.Parse(run.Pipeline).Spec).ToList();
        var place = Comparison.PlaceOf(runs, all, stage, step);
        var series = place is null ? [] : await Task.WhenAll(names.Select(name => client.ListSeriesAsync(
            new ListSeriesRequest { Run = name, Stage = place.Stage, AtStep = place.Step }, options).ResponseAsync));
        return new Comparison(runs, specs.Contains(null) ? null : PipelineDiff.Fields([.. specs.OfType<Decisions.Recipes.PipelineSpec>()]),
            place, [.. series.Select(reply => reply.Series.Where(one => one.HasAtStep).ToDictionary(one => one.Name, one => one.AtStep))]);
    }
}
