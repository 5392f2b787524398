using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Recipes;
using Google.Protobuf;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>Who waits for nodes, in the order of the queue, and what a person may change of it.</summary>
internal static class QueueVerb
{
    private static readonly Column[] Table =
    [
        new("#", 3, Right: true), new("GANG", 1), new("NODES", 2, Right: true), new("PRIORITY", 6, Right: true), new("TEAM", 7),
        new("GROUP", 9),
        new("WAITS", 5, Right: true), new("STARTS", 4), new("WHY", 3, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var command = new Command("queue", "Lists waiting stages: reason, expected start, ways to start sooner.");
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var cluster = await client.GetClusterAsync(new GetClusterRequest(), ControlPlaneConnection.Options(cancellation));
            await Print(terminal, cluster, parsed.WantsJson());
            return ExitCode.Ok;
        });
        command.Subcommands.Add(Move(terminal));
        command.Subcommands.Add(Preempt(terminal));
        return command;
    }

    private static Command Move(Terminal terminal)
    {
        var gang = new Argument<string>("gang") { Description = "The waiting gang, as RUN/STAGE." };
        var first = new Option<bool>("--first") { Description = "Before everybody who waits now." };
        var before = new Option<string?>("--before") { Description = "Before this waiting gang.", HelpName = "RUN/STAGE" };
        var reason = Reason();
        var dryRun = DryRun.Option();
        var command = new Command("move",
            "Puts a waiting gang before others. Quotas, groups, spares and maintenance hold for it as before.")
        {
            gang, first, before, reason, dryRun,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(first) == result.GetValue(before) is not null)
            {
                result.AddError("Say either --first or --before RUN/STAGE.");
            }
        });
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var moved = Gang(parsed.GetValue(gang) ?? "");
            var request = new MoveWaitingGangRequest { Run = moved.Run, Stage = moved.Stage, Reason = parsed.GetValue(reason) ?? "" };
            if (parsed.GetValue(before) is { } other)
            {
                (request.BeforeRun, request.BeforeStage) = (Gang(other).Run, Gang(other).Stage);
            }
            if (parsed.GetValue(dryRun))
            {
                return await DryRun.Say(terminal, client, parsed,
                    new ForeseeRequest
                    {
                        Action = "move",
                        Gangs = { $"{moved.Run}/{moved.Stage}" },
                        Before = parsed.GetValue(before) ?? "",
                    }, cancellation);
            }
            var cluster = await client.MoveWaitingGangAsync(request, ControlPlaneConnection.Options(cancellation));
            await Print(terminal, cluster, parsed.WantsJson());
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command Preempt(Terminal terminal)
    {
        var gangs = new Argument<string[]>("gang")
        {
            Description = "Gangs that hold nodes, as RUN/STAGE.",
            Arity = ArgumentArity.OneOrMore,
        };
        var heir = new Option<string?>("--for") { Description = "The waiting gang that goes before them.", HelpName = "RUN/STAGE" };
        var reason = Reason();
        var dryRun = DryRun.Option();
        var command = new Command("preempt", "Asks gangs to save and give their nodes up; they wait and go on later.") { gangs, heir,
            reason, dryRun };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var request = new GiveWayRequest { For = parsed.GetValue(heir) ?? "", Reason = parsed.GetValue(reason) ?? "" };
            request.Gangs.AddRange(parsed.GetValue(gangs) ?? []);
            if (parsed.GetValue(dryRun))
            {
                return await DryRun.Say(terminal, client, parsed,
                    new ForeseeRequest { Action = "preempt", Gangs = { request.Gangs }, For = request.For }, cancellation);
            }
            var cluster = await client.GiveWayAsync(request, ControlPlaneConnection.Options(cancellation));
            if (!parsed.WantsJson())
            {
                await terminal.Output.WriteLineAsync($"{string.Join(", ", request.Gangs)} {(request.Gangs.Count == 1 ? "is" : "are")} "
                    + $"asked to save and give way.");
            }
            await Print(terminal, cluster, parsed.WantsJson());
            return ExitCode.Ok;
        });
        return command;
    }

    public static void Write(Terminal terminal, Cluster cluster)
    {
        var now = TimeProvider.System.GetUtcNow();
        Columns.Write(terminal, Table, [.. cluster.Waiting.Select((gang, i) => (IReadOnlyList<string>)
        [
            (i + 1).ToString(CultureInfo.InvariantCulture), $"{gang.Run}/{gang.Stage}", $"{gang.Nodes}x{gang.SlotsPerNode}",
            Priorities.Name(gang.Priority), gang.Team, gang.Group.Length > 0 ? gang.Group : Words.None,
            Words.Time(now - gang.Since.ToDateTimeOffset()), WaitText.Start(gang.Wait, now), Why(gang),
        ])]);
        foreach (var gang in cluster.Waiting.Where(w => w.Wait is { Ways.Count: > 0 }))
        {
            terminal.Output.WriteLine();
            terminal.Output.WriteLine($"{gang.Run}/{gang.Stage}");
            foreach (string line in WaitText.Lines(gang.Wait, now))
            {
                terminal.Output.WriteLine(Columns.Clean(line));
            }
        }
    }

    private static string Why(WaitingGang gang) =>
        (gang.Moved.Length > 0 ? $"moved by hand ({gang.Moved}); " : "") + (gang.Restores ? "lost a node; " : "")
            + (gang.Wait?.Reasons.FirstOrDefault()?.Text ?? gang.Reason);

    private static async Task Print(Terminal terminal, Cluster cluster, bool json)
    {
        if (json)
        {
            await terminal.Document.WriteLineAsync(ProtoJson.Document(writer =>
            {
                writer.WriteStartObject();
                writer.WriteBoolean("simulated", cluster.Simulated);
                writer.WriteStartArray("waiting");
                cluster.Waiting.ToList().ForEach(w => ProtoJson.Write(writer, (IMessage)w));
                writer.WriteEndArray();
                writer.WriteStartArray("teams");
                cluster.Teams.ToList().ForEach(t => ProtoJson.Write(writer, (IMessage)t));
                writer.WriteEndArray();
                writer.WriteEndObject();
            }));
            return;
        }

        if (cluster.Simulated)
        {
            await terminal.Output.WriteLineAsync(Columns.Clean($"Simulated: no figure here is measured. {cluster.Simulation}"));
        }
        if (cluster.Waiting.Count == 0)
        {
            await terminal.Output.WriteLineAsync("Nothing waits for nodes.");
            return;
        }
        Write(terminal, cluster);
    }

    private static StageId Gang(string text) => text.Split('/') is [{ Length: > 0 } run, { Length: > 0 } stage] ? new StageId(run, stage)
        : throw new RefusalException($"'{text}' is not a gang.", "Write it as RUN/STAGE; `dsops queue` lists those that wait.",
            ExitCode.Usage);

    private static Option<string?> Reason() => new("--reason") { Description = "Why, for the timeline.", HelpName = "TEXT" };
}
