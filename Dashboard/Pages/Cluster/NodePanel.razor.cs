using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace DeepSeekOps.Dashboard.Pages.Cluster;

/// <summary>One node in full, and what a person may do to it. What ends work is asked for once more.</summary>
public sealed partial class NodePanel
{
    private static readonly NodeAct Cordon = new("Cordon", Icons.Material.Outlined.Block, Asks: true,
        "Nothing more is placed here. What runs goes on.", (ops, command, options) => ops.CordonNodeAsync(command, options));

    private static readonly NodeAct Uncordon = new("Uncordon", Icons.Material.Outlined.LockOpen, Asks: false,
        "The node can be used again.", (ops, command, options) => ops.UncordonNodeAsync(command, options));

    private static readonly NodeAct Drain = new("Drain", Icons.Material.Outlined.ExitToApp, Asks: true,
        "Each gang with a pod here saves a checkpoint, stops on all its nodes and starts again without this one.",
        (ops, command, options) => ops.DrainNodeAsync(command, options));

    private static readonly NodeAct Kill = new("Kill", Icons.Material.Outlined.FlashOn, Asks: true,
        "The simulated node breaks now, with all that runs on it, and stays broken until it is healed.",
        (ops, command, options) => ops.KillNodeAsync(command, options));

    private static readonly NodeAct Heal = new("Heal", Icons.Material.Outlined.Healing, Asks: false,
        "The simulated node is repaired.", (ops, command, options) => ops.HealNodeAsync(command, options));

    private static readonly NodeAct Test = new("Test", Icons.Material.Outlined.FactCheck, Asks: false,
        "Products, memory, disk and sums are tested while nothing runs here. Nothing is placed on a node that fails.",
        (ops, command, options) => ops.TestNodeAsync(command, options));

    private bool busy;
    private string reason = "";
    private string told = "";
    private NodeAct? asked;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [Parameter, EditorRequired] public Node Node { get; set; } = new();

    [Parameter, EditorRequired] public bool Simulated { get; set; }

    private ImmutableArray<NodeAct> Offered => (Node.State, Simulated) switch
    {
        ("cordoned", true) => [Uncordon, Test, Drain, Kill],
        ("cordoned", false) => [Uncordon, Test, Drain],
        ("not-ready", true) => [Heal, Cordon],
        (_, true) => [Cordon, Test, Drain, Kill],
        _ => [Cordon, Test, Drain],
    };

    private static IEnumerable<(string Name, string Value)> Measured(NodeTest test)
    {
        if (test.HasTflops)
        {
            yield return ("Products", $"{Short(test.Tflops)} TFLOP/s");
        }
        if (test.HasMemoryBytesPerSecond)
        {
            yield return ("Memory", $"{Short(test.MemoryBytesPerSecond / 1e9)} GB/s");
        }
        if (test.HasReduceBytesPerSecond)
        {
            yield return ("All-reduce", $"{Short(test.ReduceBytesPerSecond / 1e9)} GB/s");
        }
        if (test.HasDiskWriteBytesPerSecond && test.HasDiskReadBytesPerSecond)
        {
            yield return ("Disk", $"{Short(test.DiskWriteBytesPerSecond / 1e9)} GB/s written, "
                + $"{Short(test.DiskReadBytesPerSecond / 1e9)} read");
        }
    }

    private static string Short(double value) => value.ToString(value >= 100 ? "0" : "0.00", CultureInfo.InvariantCulture);

    private Task Do(NodeAct act)
    {
        asked = act.Asks ? act : null;
        return act.Asks ? Task.CompletedTask : Call(act);
    }

    private async Task Call(NodeAct act)
    {
        (busy, asked, told) = (true, null, "");
        try
        {
            var after =
                await act.Call(Ops, new NodeCommand { Name = Node.Name, Reason = reason },
                    new CallOptions(deadline: Faults.DeadlineFromNow()));
            told = act == Test ? $"{after.Name} is tested when it is its turn; what is found stands above."
                : $"{after.Name} is {Words.Status.Of(after.State).Word}.";
        }
        catch (RpcException refused)
        {
            told = Faults.InWords(refused);
        }
        finally
        {
            busy = false;
        }
    }
}

public sealed record NodeAct(
    string Word, string Icon, bool Asks, string Effect,
    Func<OpsService.OpsServiceClient, NodeCommand, CallOptions, AsyncUnaryCall<Node>> Call);
