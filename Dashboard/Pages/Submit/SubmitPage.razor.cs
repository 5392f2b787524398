using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;
using MudBlazor;
using Severity = DeepSeekOps.Contracts.Ops.V1.Severity;

namespace DeepSeekOps.Dashboard.Pages.Submit;

public sealed partial class SubmitPage : IDisposable
{
    private static readonly TimeSpan TypingPause = TimeSpan.FromMilliseconds(300);

    private PipelineDraft? draft;
    private IReadOnlyList<Problem> problems = [];
    private PipelinePlan? plan;
    private string? refused;

    /// <summary>Refused for checkpoints of an unknown run under this name: a person may say that they are to be gone on from.</summary>
    private bool occupied;
    private string? begun;
    private bool checking;
    private bool submitting;
    private string? checkTrouble;
    private CancellationTokenSource? newest;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required ISnackbar Snackbar { get; init; }

    [SupplyParameterFromQuery] public string? Example { get; set; }

    [SupplyParameterFromQuery] public string? Clone { get; set; }

    /// <summary>With a clone: how many nodes it is to ask for, and for which of its stages.</summary>
    [SupplyParameterFromQuery(Name = "nodes")] public string? NodesAsked { get; set; }

    [SupplyParameterFromQuery] public string? Stage { get; set; }

    /// <summary>What is no number counts as left out.</summary>
    private int? Nodes => int.TryParse(NodesAsked, NumberStyles.None, CultureInfo.InvariantCulture, out int nodes) ? nodes : null;

    private int Errors => problems.Count(p => p.Severity == Severity.Error);

    private bool CanSubmit => draft is not null && plan is not null && Errors == 0 && !checking && !submitting;

    private (string Icon, string Tone, string Words) verdict => (draft, checkTrouble, checking, Errors) switch
    {
        (null, _, _, _) => (Icons.Material.Outlined.MoreHoriz, "", "Loading"),
        (_, { } trouble, _, _) => (Icons.Material.Outlined.CloudOff, "care", trouble),
        (_, _, true, _) => (Icons.Material.Outlined.MoreHoriz, "", "Checking"),
        (_, _, _, 0) => (Icons.Material.Outlined.CheckCircle, "good", "Ready to submit"),
        (_, _, _, 1) => (Icons.Material.Outlined.Error, "bad", "1 problem to mend"),
        var (_, _, _, n) => (Icons.Material.Outlined.Error, "bad", $"{n} problems to mend"),
    };

    protected override async Task OnParametersSetAsync()
    {
        var wanted = $"{Clone}|{Example}|{Stage}|{Nodes}";
        if (!RendererInfo.IsInteractive || begun == wanted)
        {
            return;
        }
        begun = wanted;
        await Take(await FirstText());
    }

    private async Task<string> FirstText()
    {
        if (Clone is null)
        {
            return Examples.Text(Example ?? "") ?? Examples.Text(Examples.Names.FirstOrDefault() ?? "") ?? "";
        }
        try
        {
            string name = Nodes is null ? $"{Clone}-2" : $"{Clone}-{Nodes}n";
            var reply = await Ops.CloneRunAsync(
                new CloneRunRequest { Name = Clone, NewName = name, Nodes = Nodes ?? 0, Stage = Stage ?? "" }, deadline: Faults.DeadlineFromNow());
            return reply.Text;
        }
        catch (RpcException fault)
        {
            refused = Faults.InWords(fault);
            return "";
        }
    }

    private Task ChangeField((string Path, string Value) change) => Take(draft?.With(change.Path, change.Value) ?? "");

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
        }
        catch (Exception old) when (token.IsCancellationRequested && old is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
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
            var reply = await Ops.SubmitRunAsync(new SubmitRunRequest { Text = draft?.Text ?? "", Adopt = adopt }, deadline: Faults.DeadlineFromNow());
            if (!reply.Created)
            {
                Snackbar.Add($"{reply.Run.Name} was there already with this very pipeline.", MudBlazor.Severity.Info);
            }
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

    public void Dispose()
    {
        newest?.Cancel();
        newest?.Dispose();
    }
}
