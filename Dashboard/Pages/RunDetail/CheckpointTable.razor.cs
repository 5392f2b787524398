using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>Asked for again when the run's stream tells of a newer checkpoint; there is no timer.</summary>
public sealed partial class CheckpointTable
{
    private IReadOnlyList<Checkpoint>? checkpoints;
    private bool older;
    private bool stores;
    private string? trouble;
    private string? known;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Parameter, EditorRequired] public Run Run { get; set; } = new();

    protected override async Task OnParametersSetAsync()
    {
        var newest = Run.Name + string.Join(
            ';', Run.Stages.Select(s => $"{s.Name}:{s.CheckpointStep}:{s.VerifiedStep}:{s.VerifiedAt}:{s.StoredStep}:{s.State}"));
        if (newest != known)
        {
            known = newest;
            await Load();
        }
    }

    /// <summary>Agents read each one again some time after it was made; simulated ones have no files.</summary>
    private string NotVerified(Checkpoint checkpoint) => checkpoint.Unread.Length > 0 ? checkpoint.Unread
        : Run.Simulated || checkpoint.State is "deleted" or "quarantined" ? "–" : "not yet";

    private async Task Load()
    {
        try
        {
            var reply = await Ops.ListCheckpointsAsync(new ListCheckpointsRequest { Run = Run.Name }, deadline: Faults.DeadlineFromNow());
            checkpoints = [.. reply.Checkpoints.OrderByDescending(c => c.At.ToDateTimeOffset()).ThenByDescending(c => c.Step)];
            stores = checkpoints.Any(c => c.StoreUri.Length > 0);
            older = reply.NextPageToken.Length > 0;
            trouble = null;
        }
        catch (RpcException fault)
        {
            trouble = Faults.InWords(fault);
        }
    }
}
