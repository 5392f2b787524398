using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Audit;

/// <summary>Who did what, of everything or of one run.</summary>
public sealed partial class AuditPage
{
    private List<AuditLine>? lines;
    private string? trouble;
    private string? loaded;
    private bool more;
    private bool reading;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [SupplyParameterFromQuery] public string? Run { get; set; }

    private string Empty => Run is { Length: > 0 } run ? $"Nothing was done about {run}, or there is no such run."
        : "What people ask for and what the system does by itself is listed here.";

    protected override Task OnParametersSetAsync() => loaded == (Run ?? "") ? Task.CompletedTask : Load();

    private async Task Load()
    {
        (loaded, lines) = (Run ?? "", null);
        await Read(before: 0);
    }

    private Task Older() => Read(lines is { Count: > 0 } read ? read[^1].Number : 0);

    private async Task Read(long before)
    {
        reading = true;
        try
        {
            var asked = new ListAuditRequest { Run = loaded, Before = before };
            var reply = await Ops.ListAuditAsync(asked, deadline: Faults.DeadlineFromNow());
            lines = [.. lines ?? [], .. reply.Lines];
            (more, trouble) = (reply.More, null);
        }
        catch (RpcException fault)
        {
            trouble = Faults.InWords(fault);
        }
        finally
        {
            reading = false;
        }
    }
}
