using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>dsops cluster test: asks for tests of nodes and waits for what they find.</summary>
internal static class TestNodesVerb
{
    /// <summary>Of a test on eight GPUs most is the disk's: 40 s. Several take turns.</summary>
    private const int UsualWithin = 600;

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    private static readonly Column[] Table =
    [
        new("NODE", 1), new("TEST", 2), new("TFLOP/S", 4, Right: true), new("MEMORY GB/S", 4, Right: true),
        new("REDUCE GB/S", 5, Right: true), new("DISK GB/S", 6), new("WHAT", 3, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var names = new Argument<string[]>("node") { Description = "Name of the node, or several.", Arity = ArgumentArity.OneOrMore };
        var within = new Option<int>("--within")
        {
            Description = "Seconds to wait for what the tests find.", HelpName = "SECONDS", DefaultValueFactory = _ => UsualWithin,
        };
        var command = new Command("test",
            "Tests idle nodes: products of known result, memory, disk, sums over the ranks. Nothing is placed on one that fails.")
        {
            names, within,
        };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var cluster = await client.GetClusterAsync(new GetClusterRequest(), ControlPlaneConnection.Options(cancellation));
            Node[] before = [.. cluster.Nodes];
            string[] asked = [.. (parsed.GetValue(names) ?? []).Distinct(StringComparer.Ordinal)];
            foreach (string name in asked)
            {
                await client.TestNodeAsync(new NodeCommand { Name = name }, ControlPlaneConnection.Options(cancellation));
            }

            var tested = await Wait(client, asked, before, TimeSpan.FromSeconds(parsed.GetValue(within)), cancellation);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(tested.Select(n => (IMessage)n)));
            }
            else
            {
                if (cluster.Simulated)
                {
                    await terminal.Output.WriteLineAsync("Simulated: no figure here is measured.");
                }

                Columns.Write(terminal, Table, [.. tested.Select(RowOf)]);
            }

            return tested.All(n => n.Test.Result == "passed") ? ExitCode.Ok : ExitCode.Failed;
        });
        return command;
    }

    private static async Task<Node[]> Wait(OpsService.OpsServiceClient client, string[] asked, Node[] before, TimeSpan within,
        CancellationToken cancellation)
    {
        using var look = new PeriodicTimer(LookEvery);
        long began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var now = await Nodes(client, cancellation);
            Node[] over = [.. now.Where(n => asked.Contains(n.Name) && IsOver(n, before.FirstOrDefault(b => b.Name == n.Name)))];
            if (over.Length == asked.Length)
            {
                return over;
            }

            if (TimeProvider.System.GetElapsedTime(began) > within)
            {
                string[] left = [.. asked.Except(over.Select(n => n.Name))];
                throw new RefusalException(
                    $"Not tested within {within.TotalSeconds:0} s: {string.Join(", ", left.Take(5))}"
                        + (left.Length > 5 ? " and others." : "."),
                    "A node that was given to a gang is not tested. See `dsops cluster`, or wait longer with --within.", ExitCode.Failed);
            }

            await look.WaitForNextTickAsync(cancellation);
        }
    }

    private static bool IsOver(Node now, Node? before) =>
        now.Test is { } test && !test.At.Equals(before?.Test?.At) && now.Testing.Length == 0 && test.Result != "suspect";

    private static async Task<Node[]> Nodes(OpsService.OpsServiceClient client, CancellationToken cancellation) =>
        [.. (await client.GetClusterAsync(new GetClusterRequest(), ControlPlaneConnection.Options(cancellation))).Nodes];

    private static IReadOnlyList<string> RowOf(Node node) =>
    [
        node.Name, node.Test.Result, node.Test.HasTflops ? Figure(node.Test.Tflops) : Words.None,
        node.Test.HasMemoryBytesPerSecond ? Figure(node.Test.MemoryBytesPerSecond / 1e9) : Words.None,
        node.Test.HasReduceBytesPerSecond ? Figure(node.Test.ReduceBytesPerSecond / 1e9) : Words.None,
        node.Test.HasDiskWriteBytesPerSecond
            ? $"{Figure(node.Test.DiskWriteBytesPerSecond / 1e9)} / {Figure(node.Test.DiskReadBytesPerSecond / 1e9)}" : Words.None,
        node.Test.Reason,
    ];

    private static string Figure(double value) =>
        value.ToString(value >= 100 ? "0" : value >= 1 ? "0.0" : "0.000", CultureInfo.InvariantCulture);
}
