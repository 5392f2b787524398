using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops incidents [RUN]`: what went wrong, and whether it was cured.</summary>
internal static class IncidentsVerb
{
    private const int PageSize = 1_000;

    private static readonly Column[] Table =
    [
        new("RUN", 1), new("STAGE", 3), new("NO", 1, Right: true), new("WHEN", 4), new("STATE", 1), new("TOOK", 5, Right: true),
        new("WHAT", 2, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var name = new Argument<string?>("run") { Description = "Name of the run. Default: all runs.", Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("incidents",
            "Lists what went wrong, newest first, and whether it was cured. `dsops why RUN` tells one whole.")
        {
            name,
        };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var reply = await client.ListIncidentsAsync(new ListIncidentsRequest { Run = parsed.GetValue(name) ?? "", PageSize = PageSize },
                ControlPlaneConnection.Options(cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Output.WriteLineAsync(ProtoJson.Document(reply.Incidents));
            }
            else if (reply.Incidents.Count == 0)
            {
                await terminal.Output.WriteLineAsync("No incident.");
            }
            else
            {
                Write(terminal, reply);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static void Write(Terminal terminal, ListIncidentsReply reply)
    {
        if (reply.Simulated)
        {
            terminal.Output.WriteLine("Simulated: no machine broke.");
        }

        var now = TimeProvider.System.GetUtcNow();
        Columns.Write(terminal, Table, [.. reply.Incidents.Select(incident => (IReadOnlyList<string>)
        [
            incident.Run, incident.Stage, incident.Number.ToString(CultureInfo.InvariantCulture),
            Words.Clock(incident.OpenedAt.ToDateTimeOffset(), now), incident.State, Took(incident), incident.Sentence,
        ])]);
        if (reply.More)
        {
            terminal.Output.WriteLine("There are older ones.");
        }
    }

    /// <summary>From the failure to the first new step.</summary>
    private static string Took(Incident incident) => incident is { HappenedAt: { } happened, Outcome.FirstStepAt: { } first }
        ? Words.Time(first.ToDateTimeOffset() - happened.ToDateTimeOffset()) : "";
}
