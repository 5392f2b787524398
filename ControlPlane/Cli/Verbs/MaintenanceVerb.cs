using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>dsops cluster maintenance: the calendar by hand.</summary>
internal static class MaintenanceVerb
{
    private static readonly Column[] Table =
        [new("NAME", 1), new("STATE", 2), new("FROM", 3), new("UNTIL", 3), new("NODES", 4, Right: true), new("GROUP", 6),
            new("PLANNED IN", 7), new("WHY", 5, Flexible: true)];

    public static Command Build(Terminal terminal)
    {
        var command = new Command("maintenance", "Lists planned maintenance.");
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var cluster = await client.GetClusterAsync(new GetClusterRequest(), ControlPlaneConnection.Options(cancellation));
            await Print(terminal, cluster, parsed.WantsJson());
            return ExitCode.Ok;
        });
        command.Subcommands.Add(Plan(terminal));
        command.Subcommands.Add(Cancel(terminal));
        return command;
    }

    private static Command Plan(Terminal terminal)
    {
        var name = new Argument<string>("name") { Description = "What it is called." };
        var nodes = new Option<string[]>("--nodes")
        {
            Description = "Nodes that are out, with spaces between.",
            HelpName = "NODE",
            AllowMultipleArgumentsPerToken = true,
        };
        var group = new Option<string?>("--group") { Description = "Group whose nodes are out.", HelpName = "NAME" };
        var from = new Option<string?>("--from") { Description = "When it begins: 2026-12-01T08:00Z. Default: now.", HelpName = "TIME" };
        var hours = new Option<double>("--hours") { Description = "How long it takes.", HelpName = "N", Required = true };
        var reason = new Option<string?>("--reason") { Description = "Why, for those whose gangs leave.", HelpName = "TEXT" };
        var command = new Command("plan",
            "Plans a time in which nodes are out: nothing is placed into it, what runs saves and leaves when it begins.")
        {
            name, nodes, group, from, hours, reason,
        };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var begins = Time(parsed.GetValue(from));
            double length = parsed.GetValue(hours);
            if (!(length > 0 && length <= 10_000))
            {
                throw new RefusalException($"--hours is {length.ToString(CultureInfo.InvariantCulture)}.",
                    "Write more than 0 and at most 10000.", ExitCode.Usage);
            }
            var request = new PlanMaintenanceRequest
            {
                Name = parsed.GetValue(name), Group = parsed.GetValue(group) ?? "", From = begins.ToTimestamp(),
                Until = begins.AddHours(length).ToTimestamp(),
                Reason = parsed.GetValue(reason) ?? "",
            };
            request.Nodes.AddRange(parsed.GetValue(nodes) ?? []);
            await Print(terminal, await client.PlanMaintenanceAsync(request, ControlPlaneConnection.Options(cancellation)),
                parsed.WantsJson());
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command Cancel(Terminal terminal)
    {
        var name = new Argument<string>("name") { Description = "Name of the maintenance." };
        var command = new Command("cancel", "Takes planned maintenance back, or ends it before its time.") { name };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var request = new CancelMaintenanceRequest { Name = parsed.GetValue(name) };
            await Print(terminal, await client.CancelMaintenanceAsync(request, ControlPlaneConnection.Options(cancellation)),
                parsed.WantsJson());
            return ExitCode.Ok;
        });
        return command;
    }

    private static DateTimeOffset Time(string? text) => text is null ? TimeProvider.System.GetUtcNow()
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? at
        : throw new RefusalException($"--from {text} is not a time.", "Write it as 2026-12-01T08:00Z.", ExitCode.Usage);

    private static async Task Print(Terminal terminal, Cluster cluster, bool json)
    {
        if (json)
        {
            await terminal.Document.WriteLineAsync(ProtoJson.Document(cluster.Maintenance));
        }
        else if (cluster.Maintenance.Count == 0)
        {
            await terminal.Output.WriteLineAsync("No maintenance is planned.");
        }
        else
        {
            Columns.Write(terminal, Table, [.. cluster.Maintenance.Select(w => (IReadOnlyList<string>)
            [
                w.Name, w.Active ? "active" : "planned", Words.Moment(w.From.ToDateTimeOffset()), Words.Moment(w.Until.ToDateTimeOffset()),
                w.Nodes.Count.ToString(CultureInfo.InvariantCulture), w.Group.Length > 0 ? w.Group : Words.None,
                w.ByHand ? "by hand" : "settings", w.Reason,
            ])]);
        }
    }
}
