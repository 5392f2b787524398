using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class ClusterVerb
{
    private static readonly Column[] Table =
    [
        new("NODE", 1), new("STATE", 2), new("USED", 3, Right: true), new("RUN", 4), new("STAGE", 6), new("TRY", 8, Right: true),
        new("AGENT", 7, Right: true), new("LEMON", 9, Right: true), new("WHY", 5, Flexible: true),
    ];

    private static readonly Column[] FoldedTable =
    [
        new("NODES", 1, Right: true), new("WHICH", 2), new("STATE", 1), new("USED", 3, Right: true), new("RUN", 4), new("RANKS", 6),
        new("WHY", 5, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var everyNode = new Option<bool>("--all")
        {
            Description = $"A row for each node; those of more than {NodeFold.InFull} are folded else, the odd ones first.",
        };
        var command = new Command("cluster", "Shows the nodes: which are ready, what runs on each, and why one is not used.") { everyNode };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var cluster = await client.GetClusterAsync(new GetClusterRequest(), ControlPlaneConnection.Options(cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(cluster));
            }
            else
            {
                Write(terminal, cluster, parsed.GetValue(everyNode));
            }
            return ExitCode.Ok;
        });
        command.Subcommands.Add(
            OnNode(terminal, "cordon", "Places nothing more on a node; what runs there goes on.", (c, n, o) => c.CordonNodeAsync(n, o)));
        command.Subcommands.Add(OnNode(terminal, "uncordon", "Lets a node be used again.", (c, n, o) => c.UncordonNodeAsync(n, o)));
        command.Subcommands.Add(
            OnNode(terminal, "drain", "Cordons a node; what runs there saves and goes elsewhere.", (c, n, o) => c.DrainNodeAsync(n, o)));
        command.Subcommands.Add(TestNodesVerb.Build(terminal));
        command.Subcommands.Add(
            OnNode(terminal, "kill", "Simulated cluster: breaks a node with all that runs there.", (c, n, o) => c.KillNodeAsync(n, o)));
        command.Subcommands.Add(OnNode(terminal, "heal", "Simulated cluster: repairs a node.", (c, n, o) => c.HealNodeAsync(n, o)));
        command.Subcommands.Add(MaintenanceVerb.Build(terminal));
        return command;
    }

    private static Command OnNode(
        Terminal terminal, string verb, string description,
        Func<OpsService.OpsServiceClient, NodeCommand, CallOptions, AsyncUnaryCall<Node>> call)
    {
        var names = new Argument<string[]>("node") { Description = "Name of the node, or several.", Arity = ArgumentArity.OneOrMore };
        var reason = new Option<string?>("--reason") { Description = "Why, for those who look at the node later.", HelpName = "TEXT" };
        var dryRun = DryRun.Option();
        var command = new Command(verb, description) { names, reason };
        var fault = new Option<string?>("--fault")
        {
            Description = "slow-memory or wrong-product: only a test of the node finds it. Default: all that runs there ends.",
            HelpName = "FAULT",
        };
        if (verb is "cordon" or "drain")
        {
            command.Options.Add(dryRun);
        }
        if (verb is "kill")
        {
            command.Options.Add(fault);
        }
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            foreach (string name in parsed.GetValue(names) ?? [])
            {
                if (command.Options.Contains(dryRun) && parsed.GetValue(dryRun))
                {
                    await DryRun.Say(terminal, client, parsed, new ForeseeRequest { Action = verb, Node = name }, cancellation);
                    continue;
                }
                var request = new NodeCommand { Name = name, Reason = parsed.GetValue(reason) ?? "" };
                request.Fault = command.Options.Contains(fault) ? parsed.GetValue(fault) ?? "" : "";
                var node = await call(client, request, ControlPlaneConnection.Options(cancellation));
                await terminal.Answer(parsed.WantsJson()).WriteLineAsync(parsed.WantsJson() ? ProtoJson.Document(node)
                    : Columns.Clean($"{node.Name} is {node.State}. {node.Reason}").TrimEnd());
            }
            return ExitCode.Ok;
        });
        return command;
    }

    public static void Write(Terminal terminal, Cluster cluster, bool everyNode = false)
    {
        int slots = cluster.Nodes.Sum(node => node.Slots);
        int used = cluster.Nodes.Sum(node => node.SlotsUsed);
        terminal.Output.WriteLine($"{cluster.Kind}: {Words.NodeCount(cluster.Nodes.Count)}, {used} of {slots} GPUs in use");
        foreach (string line in ClusterFacts.Of(cluster).SelectMany(fact => Columns.Hang(fact, terminal.Width, indent: 0)))
        {
            terminal.Output.WriteLine(line);
        }
        terminal.Output.WriteLine();
        if (everyNode || cluster.Nodes.Count <= NodeFold.InFull)
        {
            Columns.Write(terminal, Table, [.. cluster.Nodes.Select(RowOf)]);
        }
        else
        {
            Columns.Write(terminal, FoldedTable, [.. NodeFold.Of(cluster.Nodes).Select(RowOf)]);
        }
        if (cluster.Waiting.Count > 0)
        {
            terminal.Output.WriteLine();
            QueueVerb.Write(terminal, cluster);
        }
    }

    private static IReadOnlyList<string> RowOf(Node node) =>
    [
        node.Name, node.State, $"{node.SlotsUsed}/{node.Slots}", Or(node.Run), Or(node.Stage),
        node.Attempt > 0 ? node.Attempt.ToString(CultureInfo.InvariantCulture) : Words.None,
        node.AgentPid > 0 ? node.AgentPid.ToString(CultureInfo.InvariantCulture) : Words.None,
        node.LemonScore > 0 ? node.LemonScore.ToString("0.00", CultureInfo.InvariantCulture) : Words.None,
        $"{(node.Spare ? $"spare{(node.Reason.Length > 0 ? "; " : "")}" : "")}{node.Reason}"
            + (node.Testing.Length > 0 ? "; under test"
                : node.Test is { Result: "suspect" or "inconclusive" } test ? $"; {test.Reason}" : ""),
    ];

    private static IReadOnlyList<string> RowOf(NodesAlike group) =>
    [
        group.Nodes.ToString(CultureInfo.InvariantCulture), group.Which, group.State, $"{group.Used}/{group.Slots}", Or(group.Work),
        Or(group.Ranks), group.Why,
    ];

    private static string Or(string text) => text.Length > 0 ? text : Words.None;
}
