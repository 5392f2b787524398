using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;
using MudBlazor;
using Severity = DeepSeekOps.Contracts.Ops.V1.Severity;

namespace DeepSeekOps.Dashboard.Pages.Submit;

public sealed partial class SubmitPage : IAsyncDisposable
{
    private static readonly TimeSpan TypingPause = TimeSpan.FromMilliseconds(300);

    private PipelineDraft? draft;
    private IReadOnlyList<Problem> problems = [];
    private PipelinePlan? plan;
    private string? refused;
    private string cannotStart = "";

    /// <summary>Refused for checkpoints of an unknown run under this name: a person may say that they are to be gone on from.</summary>
    private bool occupied;
    private bool checking;
    private bool submitting;
    private string? checkTrouble;
    private CancellationTokenSource? newest;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required ISnackbar Snackbar { get; init; }

    private int Errors => problems.Count(p => p.Severity == Severity.Error);

    /// <summary>While a check is on its way a click is taken, not lost: the submission is checked again where it arrives.</summary>
    private bool CanSubmit => draft is not null && !submitting && (checking || (plan is not null && Errors == 0));

    private (string Icon, string Tone, string Words) verdict => (draft, checkTrouble, checking, Errors) switch
    {
        (null, _, _, _) => (Icons.Material.Outlined.MoreHoriz, "", "Loading"),
        (_, { } trouble, _, _) => (Icons.Material.Outlined.CloudOff, "care", trouble),
        (_, _, true, _) => (Icons.Material.Outlined.MoreHoriz, "", "Checking"),
        (_, _, _, 0) => (Icons.Material.Outlined.CheckCircle, "good", "Ready to submit"),
        (_, _, _, 1) => (Icons.Material.Outlined.Error, "bad", "1 problem to fix"),
        var (_, _, _, n) => (Icons.Material.Outlined.Error, "bad", $"{n} problems to fix"),
    };

    /// <summary>What is typed the browser keeps by itself; what the form changes it has to be told.</summary>
    private async Task ChangeField((string Path, string Value) change)
    {
        string text = draft?.With(change.Path, change.Value) ?? "";
        await drafts.Write(from, text);
        await Take(text);
    }

    /// <summary>Typing and the form both end here; the check waits for a pause, and only the newest one's answer counts.</summary>
    private async Task Take(string text)
    {
        draft = PipelineDraft.Read(text);
        checking = true;
        newest?.Cancel();
        newest?.Dispose();
        newest = new CancellationTokenSource();
        // Asked for once: a newer text may have disposed of the source by the time the pause is over.
        var token = newest.Token;
        try
        {
            await Task.Delay(TypingPause, Clock, token);
            var reply = await Ops.CheckPipelineAsync(
                new CheckPipelineRequest { Text = text }, deadline: Faults.DeadlineFromNow(), cancellationToken: token);
            (problems, plan, checkTrouble, checking) = ([.. reply.Problems.OrderBy(p => p.Line)], reply.Plan, null, false);
            cannotStart = reply.CannotStart;
        }
        catch (Exception old) when (token.IsCancellationRequested
            && old is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            // A newer text is being checked, or nobody looks any more.
        }
        catch (RpcException fault)
        {
            (plan, checkTrouble, checking) = (null, Faults.InWords(fault), false);
        }
    }

    /// <param name="adopt">Checkpoints of a run that the database does not know, under this name, are to be gone on from.</param>
    private async Task Submit(bool adopt)
    {
        submitting = true;
        (refused, occupied) = (null, false);
        try
        {
            var reply =
                await Ops.SubmitRunAsync(new SubmitRunRequest { Text = draft?.Text ?? "", Adopt = adopt },
                    deadline: Faults.DeadlineFromNow());
            if (!reply.Created)
            {
                Snackbar.Add($"{reply.Run.Name} was there already with this very pipeline.", MudBlazor.Severity.Info);
            }
            await drafts.Drop(from);
            Navigation.NavigateTo($"/runs/{Uri.EscapeDataString(reply.Run.Name)}");
        }
        catch (RpcException fault)
        {
            refused = Faults.InWords(fault);
            occupied = fault.StatusCode == StatusCode.FailedPrecondition;
            problems = Faults.Problems(fault) is { Count: > 0 } told ? told : problems;
        }
        finally
        {
            submitting = false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        newest?.Cancel();
        newest?.Dispose();
        await drafts.DisposeAsync();
    }
}
