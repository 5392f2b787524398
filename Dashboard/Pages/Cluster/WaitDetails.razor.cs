using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Cluster;

/// <summary>A way that touches other people's work or a node is asked for once more; a clone only opens the editor.</summary>
public sealed partial class WaitDetails
{
    private StartWay? asked;
    private bool busy;
    private string told = "";

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Parameter, EditorRequired] public Wait Wait { get; set; } = new();

    [Parameter, EditorRequired] public string Run { get; set; } = "";

    [Parameter, EditorRequired] public string Stage { get; set; } = "";

    private string Gang => $"{Run}/{Stage}";

    private string CloneLink(StartWay way) =>
        $"/submit?clone={Uri.EscapeDataString(Run)}&stage={Uri.EscapeDataString(Stage)}&nodes={way.AskNodes}";

    private static string Effect(StartWay way) => way.Kind == "uncordon"
        ? $"{string.Join(", ", way.Nodes)} can be used again by everybody."
        : $"{string.Join(" and ", way.Victims)} saves a checkpoint, stops on all its nodes and waits until there is room again.";

    private async Task Call(StartWay way)
    {
        (busy, asked, told) = (true, null, "");
        try
        {
            await Do(way);
            told = way.Kind == "uncordon" ? "Uncordoned." : $"{string.Join(" and ", way.Victims)} is asked to save and give way.";
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

    private async Task Do(StartWay way)
    {
        if (way.Kind == "uncordon")
        {
            foreach (string node in way.Nodes)
            {
                await Ops.UncordonNodeAsync(new NodeCommand { Name = node, Reason = $"for {Gang}" }, deadline: Faults.DeadlineFromNow());
            }

            return;
        }

        await Ops.GiveWayAsync(new GiveWayRequest { Gangs = { way.Victims }, For = Gang, Reason = "from the dashboard" },
            deadline: Faults.DeadlineFromNow());
    }
}
