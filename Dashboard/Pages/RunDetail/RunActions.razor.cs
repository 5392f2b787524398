using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>What a person may do to a run. Each is asked for once more, with what it will do, and answered by the stream.</summary>
public sealed partial class RunActions
{
    private static readonly ActionOffer Pause = new("Pause", Icons.Material.Outlined.Pause, Color.Default,
        "Each running stage saves a checkpoint and ends its ranks. Resume goes on from there.");

    private static readonly ActionOffer Resume = new("Resume", Icons.Material.Outlined.PlayArrow, Color.Primary,
        "The run goes on from its newest good checkpoint as soon as it can be placed.", Foreseen: false);

    private static readonly ActionOffer Cancel = new("Cancel", Icons.Material.Outlined.Close, Color.Error,
        "All ranks end now. Checkpoints stay, so the run can be retried or cloned from them.");

    private static readonly ActionOffer Retry = new("Retry", Icons.Material.Outlined.Replay, Color.Primary,
        "Goes on from the chosen stage's newest good checkpoint. What came later in the run is done again.");

    private bool busy;
    private bool asking;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required IDialogService Dialogs { get; init; }

    [Inject] public required ISnackbar Snackbar { get; init; }

    [Parameter, EditorRequired] public Run Run { get; set; } = new();

    private ImmutableArray<ActionOffer> Offered => Run.State switch
    {
        "queued" or "running" => [Pause, Cancel],
        "paused" or "pausing" => [Resume, Cancel],
        "failed" or "cancelled" or "completed" => [Retry],
        _ => [],
    };

    private async Task Ask(ActionOffer action)
    {
        var parameters = new DialogParameters<ConfirmDialog> { { d => d.Action, action }, { d => d.Run, Run },
            { d => d.WithStage, action == Retry } };
        if (asking)
        {
            // The second half of a double click: one question is enough.
            return;
        }

        asking = true;
        try
        {
            var dialog = await Dialogs.ShowAsync<ConfirmDialog>($"{action.Word} {Run.Name}?", parameters);
            if (await dialog.Result is { Canceled: false, Data: Confirmed confirmed })
            {
                await Act(action, confirmed);
            }
        }
        finally
        {
            asking = false;
        }
    }

    private async Task Act(ActionOffer action, Confirmed confirmed)
    {
        busy = true;
        var command = new RunCommand { Name = Run.Name, Reason = confirmed.Reason };
        var options = new CallOptions(deadline: Faults.DeadlineFromNow());
        try
        {
            var after = await (action.Word switch
            {
                "Pause" => Ops.PauseRunAsync(command, options),
                "Resume" => Ops.ResumeRunAsync(command, options),
                "Cancel" => Ops.CancelRunAsync(command, options),
                _ => Ops.RetryRunAsync(new RetryRunRequest { Name = Run.Name, Stage = confirmed.Stage }, options),
            });
            // The stages' reasons are of the moment before: what follows from the command, the page tells as it happens.
            Snackbar.Add($"{Run.Name}: {action.Word.ToLowerInvariant()} is asked for; it is {Words.Status.Of(after.State).Word} now.",
                MudBlazor.Severity.Success);
        }
        catch (RpcException refused)
        {
            Snackbar.Add(Faults.InWords(refused), MudBlazor.Severity.Error);
        }
        finally
        {
            busy = false;
        }
    }
}

/// <param name="Foreseen">The control plane can tell what it would do.</param>
public sealed record ActionOffer(string Word, string Icon, Color Color, string Effect, bool Foreseen = true);

public sealed record Confirmed(string Reason, string Stage);
