using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops incidents [RUN]`: what went wrong, and whether it was cured.</summary>
internal static class IncidentsVerb
{
    private const int PageSize = 1_000;

    /// <summary>Ours: no control plane is ten years old.</summary>
    private const int SpanDaysMost = 3_660;

    private static readonly Column[] Table =
    [
        new("RUN", 1), new("STAGE", 3), new("NO", 1, Right: true), new("WHEN", 4), new("STATE", 1), new("TOOK", 5, Right: true),
        new("WHAT", 2, Flexible: true),
    ];

    private static readonly Column[] OfNodes =
    [
        new("NODE", 1), new("NO", 1, Right: true), new("WHEN", 3), new("STATE", 1), new("OUT", 4, Right: true),
        new("WHAT", 2, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var name = new Argument<string?>("run") { Description = "Name of the run. Default: all runs.", Arity = ArgumentArity.ZeroOrOne };
        var since = new Option<TimeSpan?>("--since")
        {
            Description = "A report of so long until now, and of what is open still: 24h, 90m, 7d.", HelpName = "TIME",
            CustomParser = result => ParseSpan(result, "--since"),
        };
        var node = new Option<string?>("--node")
        {
            Description = "What went wrong with this node itself, in full; no run's.", HelpName = "NODE",
        };
        var command = new Command("incidents",
            "Lists what went wrong, newest first, and whether it was fixed. `dsops why RUN` shows one in full; --since 24h is what to read "
            + "in the morning.")
        {
            name, since, node, Grade(terminal),
        };
        foreach (var hand in HandVerbs.Build(terminal))
        {
            command.Subcommands.Add(hand);
        }

        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var request = new ListIncidentsRequest
            {
                Run = parsed.GetValue(name) ?? "", PageSize = PageSize, Node = parsed.GetValue(node) ?? "",
            };
            if (request is { Run.Length: > 0, Node.Length: > 0 })
            {
                throw new RefusalException($"--node is '{request.Node}', and a run is named too: {request.Run}.",
                    "Name the run or the node: an incident of a node is of no run.", ExitCode.Usage);
            }

            var now = TimeProvider.System.GetUtcNow();
            if (parsed.GetValue(since) is { } span)
            {
                request.Since = Timestamp.FromDateTimeOffset(now - span);
            }

            var reply = await client.ListIncidentsAsync(request, ControlPlaneConnection.Options(cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document([.. reply.Incidents, .. reply.Nodes]));
            }
            else if (request.Node.Length > 0)
            {
                NodeIncidentText.Write(terminal, reply, request.Node, now);
            }
            else if (parsed.GetValue(since) is { } asked)
            {
                MorningReport.Write(terminal, reply, await Over(client, reply, cancellation), asked, now);
            }
            else if (reply.Incidents.Count + reply.Nodes.Count == 0)
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

    private static Command Grade(Terminal terminal)
    {
        var id = new Argument<string>("id") { Description = "RUN/STAGE/NUMBER, as the list has them." };
        var grade = new Argument<int>("grade")
        {
            Description = "100: cause, rank and remedy right; 65: the cause; 35: led to it; 0: wrong.",
        };
        var command = new Command("grade", "Says how right an incident's diagnosis was; the last grade counts.") { id, grade };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var report = await client.GradeIncidentAsync(RequestOf(parsed.GetValue(id) ?? "", parsed.GetValue(grade)),
                ControlPlaneConnection.Options(cancellation));
            await terminal.Answer(parsed.WantsJson()).WriteLineAsync(parsed.WantsJson() ? ProtoJson.Document(report.Incident)
                : Columns.Clean($"{MorningReport.Id(report.Incident)} is graded {report.Incident.Grade}: {report.Incident.Sentence}"));
            return ExitCode.Ok;
        });
        return command;
    }

    internal static GradeIncidentRequest RequestOf(string id, int grade)
    {
        string[] parts = id.Split('/');
        return parts is [{ Length: > 0 } run, { Length: > 0 } stage, var number]
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int which) && which > 0
            ? new GradeIncidentRequest { Run = run, Stage = stage, Number = which, Grade = grade }
            : throw new RefusalException($"id is '{id}', which names no incident.",
                "Write RUN/STAGE/NUMBER, such as mini/pretrain/2; `dsops incidents` lists them.");
    }

    /// <summary>"24h", "90m", "7d", "45s". Null: it is no time, or a longer one than any that there is something from.</summary>
    internal static TimeSpan? ReadSpan(string text) =>
        text.Length > 1 && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count > 0
            ? text[^1] switch
            {
                's' when count <= SpanDaysMost * 24 * 3600 => TimeSpan.FromSeconds(count),
                'm' when count <= SpanDaysMost * 24 * 60 => TimeSpan.FromMinutes(count),
                'h' when count <= SpanDaysMost * 24 => TimeSpan.FromHours(count),
                'd' when count <= SpanDaysMost => TimeSpan.FromDays(count),
                _ => null,
            }
            : null;

    internal static TimeSpan? ParseSpan(System.CommandLine.Parsing.ArgumentResult result, string option)
    {
        string text = result.Tokens.Count > 0 ? result.Tokens[0].Value : "";
        if (ReadSpan(text) is { } span)
        {
            return span;
        }

        result.AddError($"{option} is '{text}', which is not a time. Write a whole number with s, m, h or d, such as 24h.");
        return null;
    }

    /// <summary>Of the runs that something needs a person for: those that have ended well, or that somebody cancelled.</summary>
    internal static async Task<HashSet<string>> Over(
        OpsService.OpsServiceClient client, ListIncidentsReply reply, CancellationToken cancellation)
    {
        var over = new HashSet<string>(StringComparer.Ordinal);
        foreach (string run in reply.Incidents.Where(i => i.State == "needs-human").Select(i => i.Run).Distinct())
        {
            var now = await client.GetRunAsync(new GetRunRequest { Name = run }, ControlPlaneConnection.Options(cancellation));
            if (now.State is "completed" or "cancelled")
            {
                over.Add(run);
            }
        }

        return over;
    }

    private static void Write(Terminal terminal, ListIncidentsReply reply)
    {
        if (reply.Simulated)
        {
            terminal.Output.WriteLine("Simulated: no machine broke.");
        }

        var now = TimeProvider.System.GetUtcNow();
        if (reply.Incidents.Count > 0)
        {
            WriteRuns(terminal, reply, now);
        }

        if (reply.Nodes.Count > 0)
        {
            if (reply.Incidents.Count > 0)
            {
                terminal.Output.WriteLine();
            }

            terminal.Output.WriteLine("Of nodes themselves (`dsops incidents --node NODE` shows all of one):");
            Columns.Write(terminal, OfNodes, [.. reply.Nodes.Select(incident => (IReadOnlyList<string>)
            [
                incident.Node, incident.Number.ToString(CultureInfo.InvariantCulture),
                Words.Clock(incident.OpenedAt.ToDateTimeOffset(), now), incident.State, Words.Time(NodeIncidentText.Out(incident, now)),
                incident.Sentence,
            ])]);
        }

        if (reply.More)
        {
            terminal.Output.WriteLine("There are older ones.");
        }
    }

    private static void WriteRuns(Terminal terminal, ListIncidentsReply reply, DateTimeOffset now) =>
        Columns.Write(terminal, Table, [.. reply.Incidents.Select(incident => (IReadOnlyList<string>)
        [
            incident.Run, incident.Stage, incident.Number.ToString(CultureInfo.InvariantCulture),
            Words.Clock(incident.OpenedAt.ToDateTimeOffset(), now), incident.State, Took(incident), incident.Sentence,
        ])]);

    /// <summary>From the failure to the first new step.</summary>
    private static string Took(Incident incident) => incident is { HappenedAt: { } happened, Outcome.FirstStepAt: { } first }
        ? Words.Time(first.ToDateTimeOffset() - happened.ToDateTimeOffset()) : "";
}
