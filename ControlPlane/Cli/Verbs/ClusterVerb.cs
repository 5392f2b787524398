using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class ClusterVerb
{
    private static readonly Column[] Table =
    [
        new("NODE", 1), new("STATE", 2), new("USED", 3, Right: true), new("RUN", 4), new("STAGE", 6), new("TRY", 8, Right: true),
        new("AGENT", 7, Right: true), new("WHY", 5, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var command = new Command("cluster", "Shows the nodes: which are ready, what runs on each, and why one is not used.");
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var cluster = await client.GetClusterAsync(new GetClusterRequest(), ControlPlaneConnection.Options(cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Output.WriteLineAsync(ProtoJson.Document(cluster));
            }
            else
            {
                Write(terminal, cluster);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    public static void Write(Terminal terminal, Cluster cluster)
    {
        int slots = cluster.Nodes.Sum(node => node.Slots);
        int used = cluster.Nodes.Sum(node => node.SlotsUsed);
        terminal.Output.WriteLine($"{cluster.Kind}: {cluster.Nodes.Count} nodes, {used} of {slots} slots in use");
        if (cluster.Simulated)
        {
            terminal.Output.WriteLine("Simulated: no figure here is measured.");
        }
        terminal.Output.WriteLine();
        Columns.Write(terminal, Table, [.. cluster.Nodes.Select(node => (IReadOnlyList<string>)
        [
            node.Name, node.State, $"{node.SlotsUsed}/{node.Slots}", Or(node.Run), Or(node.Stage),
            node.Attempt > 0 ? node.Attempt.ToString(CultureInfo.InvariantCulture) : Words.None,
            node.AgentPid > 0 ? node.AgentPid.ToString(CultureInfo.InvariantCulture) : Words.None, node.Reason,
        ])]);
    }

    private static string Or(string text) => text.Length > 0 ? text : Words.None;
}
