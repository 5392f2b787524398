using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Cluster;

/// <summary>Everybody who waits for nodes, and why. A move is asked for once more, with what follows from it.</summary>
public sealed partial class WaitingList
{
    private string? asked;
    private bool busy;
    private bool possible = true;
    private string told = "";

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Parameter, EditorRequired] public IEnumerable<WaitingGang> Waiting { get; set; } = [];

    [Parameter, EditorRequired] public bool Simulated { get; set; }

    private static string Name(WaitingGang gang) => $"{gang.Run}/{gang.Stage}";

    /// <summary>Who fits on no cluster like this one gains nothing from a better place.</summary>
    private static bool CanStart(WaitingGang gang) => gang.Wait?.Reasons.All(r => r.Kind != "impossible") ?? true;

    private async Task First(WaitingGang gang)
    {
        (busy, asked, told) = (true, null, "");
        try
        {
            await Ops.MoveWaitingGangAsync(
                new MoveWaitingGangRequest { Run = gang.Run, Stage = gang.Stage, Reason = "from the dashboard" },
                deadline: Faults.DeadlineFromNow());
            told = $"{Name(gang)} is moved to the front.";
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
