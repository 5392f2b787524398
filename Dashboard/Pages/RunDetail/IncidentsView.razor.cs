using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>What went wrong with a run. Asked for again when the timeline has grown; there is no timer.</summary>
public sealed partial class IncidentsView
{
    private IReadOnlyList<Incident>? incidents;
    private IncidentReport? report;
    private bool more;
    private string? trouble;
    private string? shown;
    private (string Run, long News, string? Chosen)? known;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Parameter, EditorRequired] public Run Run { get; set; } = new();

    /// <summary>The newest event's number: an incident moves with the timeline.</summary>
    [Parameter, EditorRequired] public long News { get; set; }

    /// <summary>"pretrain.2", as the address has it; null: the newest.</summary>
    [Parameter] public string? Chosen { get; set; }

    [Parameter, EditorRequired] public Func<string, string> LinkTo { get; set; } = key => key;

    internal static string KeyOf(Incident incident) => $"{incident.Stage}.{incident.Number}";

    protected override async Task OnParametersSetAsync()
    {
        if (known != (Run.Name, News, Chosen))
        {
            known = (Run.Name, News, Chosen);
            await Load();
        }
    }

    private void Take(IncidentReport graded) => report = graded;

    private async Task Load()
    {
        try
        {
            var reply = await Ops.ListIncidentsAsync(new ListIncidentsRequest { Run = Run.Name }, deadline: Faults.DeadlineFromNow());
            var found = reply.Incidents.FirstOrDefault(i => KeyOf(i) == Chosen) ?? reply.Incidents.FirstOrDefault();
            report = found is null ? null : await Ops.GetIncidentAsync(
                new GetIncidentRequest { Run = Run.Name, Stage = found.Stage, Number = found.Number }, deadline: Faults.DeadlineFromNow());
            (incidents, more, shown, trouble) = (reply.Incidents, reply.More, found is null ? null : KeyOf(found), null);
        }
        catch (RpcException fault)
        {
            trouble = Faults.InWords(fault);
        }
    }
}
