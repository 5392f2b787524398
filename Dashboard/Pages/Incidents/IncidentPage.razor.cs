using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Incidents;

/// <summary>One incident at an address of its own.</summary>
public sealed partial class IncidentPage
{
    private IncidentReport? report;
    private bool missing;
    private string? trouble;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Parameter] public string Run { get; set; } = "";

    [Parameter] public string Stage { get; set; } = "";

    [Parameter] public int Number { get; set; }

    internal static string At(Incident incident) => FormattableString.Invariant(
        $"/incidents/{Uri.EscapeDataString(incident.Run)}/{Uri.EscapeDataString(incident.Stage)}/{incident.Number}");

    protected override Task OnParametersSetAsync() => Load();

    private async Task Load()
    {
        try
        {
            report = await Ops.GetIncidentAsync(new GetIncidentRequest { Run = Run, Stage = Stage, Number = Number },
                deadline: Faults.DeadlineFromNow());
            (missing, trouble) = (false, null);
        }
        catch (RpcException fault)
        {
            (missing, trouble) = (fault.StatusCode is StatusCode.NotFound or StatusCode.InvalidArgument, Faults.InWords(fault));
        }
    }

    private void Take(IncidentReport graded) => report = graded;
}
