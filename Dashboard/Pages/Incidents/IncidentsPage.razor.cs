using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Incidents;

/// <summary>What went wrong with all runs: what is open first, then the newest.</summary>
public sealed partial class IncidentsPage
{
    private ListIncidentsReply? reply;
    private IReadOnlyList<Incident> shown = [];
    private IReadOnlyList<NodeIncident> nodes = [];
    private string? trouble;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    /// <summary>Somebody waits for these: a person's turn, then ours.</summary>
    internal static int Order(Incident incident) => incident.State switch { "needs-human" => 0, "closed" => 2, _ => 1 };

    protected override Task OnInitializedAsync() => Load();

    private async Task Load()
    {
        try
        {
            reply = await Ops.ListIncidentsAsync(new ListIncidentsRequest(), deadline: Faults.DeadlineFromNow());
            (shown, nodes, trouble) = ([.. reply.Incidents.OrderBy(Order)], [.. reply.Nodes.OrderBy(n => n.State == "closed")], null);
        }
        catch (RpcException fault)
        {
            trouble = Faults.InWords(fault);
        }
    }
}
