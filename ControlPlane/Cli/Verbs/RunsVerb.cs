using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class RunsVerb
{
    private static readonly Column[] Table =
    [
        new("RUN", 1), new("STATE", 2), new("STAGE", 3), new("STEP", 4, Right: true), new("LOSS", 5, Right: true),
        new("MFU", 7, Right: true),
        new("LEFT", 8, Right: true), new("TEAM", 9), new("WHY", 6, Flexible: true),
    ];

    /// <summary>A screen or two; the last line says how many more there are.</summary>
    private const int Shown = 100;

    private const int PageMost = 1_000;

    public static Command Build(Terminal terminal)
    {
        var part = new Argument<string?>("search")
        {
            Description = "Only runs with this in their name, team, node group or state.", Arity = ArgumentArity.ZeroOrOne,
        };
        var search = new Option<string?>("--search")
        {
            Description = "Words that must all fit: alpha, team:alpha, name=mini, state:failed, group:a, -mini, tiny-*lr1.",
        };
        var all = new Option<bool>("--all") { Description = $"All of them, and not only the first {Shown}." };
        var command = new Command("runs", "Lists runs: those that run or failed first, then the newest.") { part, search, all };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            await HealthLines.Write(client, terminal, cancellation);
            // A script that counts runs must not be handed a part of them.
            bool whole = parsed.GetValue(all) || parsed.WantsJson();
            var request = new ListRunsRequest
            {
                Search = string.Join(' ',
                    new[] { parsed.GetValue(part), parsed.GetValue(search) }.Where(text => !string.IsNullOrWhiteSpace(text))),
                PageSize = whole ? PageMost : Shown,
            };
            var runs = new List<RunSummary>();
            ListRunsReply reply;
            do
            {
                reply = await client.ListRunsAsync(request, ControlPlaneConnection.Options(cancellation));
                runs.AddRange(reply.Runs);
                request.PageToken = reply.NextPageToken;
            }
            while (whole && request.PageToken.Length > 0);

            if (reply.Hint.Length > 0)
            {
                await terminal.Error.WriteLineAsync($"note: {Columns.Clean(reply.Hint)}");
            }

            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(runs));
            }
            else
            {
                Tell(terminal, runs, reply, request.Search);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Tell(Terminal terminal, List<RunSummary> runs, ListRunsReply reply, string search)
    {
        if (runs.Count == 0)
        {
            terminal.Output.WriteLine(reply.All == 0 ? "No runs. Begin one with `dsops submit FILE`."
                : $"No run matches '{Columns.Clean(search)}', of {reply.All}. `dsops runs --help` says what can be searched.");
            return;
        }

        if (runs.Any(run => run.Simulated))
        {
            terminal.Output.WriteLine("Simulated: no figure here is measured.");
        }
        Write(terminal, runs);
        if (runs.Count < reply.Total)
        {
            string states = string.Join(", ", reply.States.OrderByDescending(s => s.Value).Select(s => $"{s.Value} {s.Key}"));
            terminal.Output.WriteLine($"… and {reply.Total - runs.Count} more ({states} in all): --all, or --search "
                + $"'team:alpha state:failed'");
        }
    }

    public static void Write(Terminal terminal, IEnumerable<RunSummary> runs) => Columns.Write(terminal, Table, [.. runs.Select(run =>
    {
        var stage = Current(run.Stages);
        return (IReadOnlyList<string>)
        [
            run.Name, run.State, stage?.Name ?? Words.None, stage is null ? Words.None : Words.Steps(stage.Step, stage.TotalSteps),
            Words.Figure(stage is { HasLoss: true } ? stage.Loss : null), Words.Percent(stage is { HasMfu: true } ? stage.Mfu : null),
            run.Forecast is { } forecast ? Words.Time(forecast.Left.ToTimeSpan()) : Words.None, run.Team,
            run.Reason + HealthLines.AsOf(run.AsOf ?? stage?.AsOf),
        ];
    })]);

    /// <summary>The stage that a run stands at: the last one that has begun.</summary>
    public static T? Current<T>(IReadOnlyList<T> stages)
        where T : class, IStageFacts => stages.LastOrDefault(stage => stage.State != "waiting") ?? (stages.Count > 0 ? stages[0] : null);
}
