using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace DeepSeekOps.Dashboard.Pages.Incidents;

/// <summary>Hold, release, take over, give back and take back.</summary>
public sealed partial class HandKeys
{
    private bool busy;
    private bool asking;
    private string? trouble;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required IDialogService Dialogs { get; init; }

    [Parameter, EditorRequired] public string Run { get; set; } = "";

    /// <summary>With <see cref="Number"/>: the incident that it is about. Empty: the whole run.</summary>
    [Parameter] public string Stage { get; set; } = "";

    [Parameter] public int Number { get; set; }

    [Parameter] public PersonsHold? Hold { get; set; }

    /// <summary>It can be held: the incident is open, or the run goes.</summary>
    [Parameter] public bool InHand { get; set; }

    [Parameter] public UndoAnswer? Undo { get; set; }

    [Parameter] public EventCallback Done { get; set; }

    private ImmutableArray<HandOffer> Offered =>
    [
        .. Hold is { Taken: true } ? [HandOffer.GiveBack] : Hold is not null ? [HandOffer.Release]
            : InHand ? (IEnumerable<HandOffer>)[HandOffer.Hold] : [],
        .. InHand && Number > 0 && Hold is not { Taken: true } ? (IEnumerable<HandOffer>)[HandOffer.Take] : [],
        .. Undo is { Possible: true } undo ? (IEnumerable<HandOffer>)[HandOffer.Undo with { Effect = Capital(undo.Words) + "." }] : [],
    ];

    /// <summary>The run's and an incident's stand on one page.</summary>
    private string Where => Number > 0 ? FormattableString.Invariant($"Automation of incident {Number}") : "Automation of the run";

    private async Task Ask(HandOffer offer)
    {
        string what = Number > 0 ? FormattableString.Invariant($"incident {Number} of {Run}/{Stage}") : Run;
        var parameters = new DialogParameters<HandDialog> { { d => d.Offer, offer }, { d => d.What, what } };
        if (asking)
        {
            // The second half of a double click: one question is enough.
            return;
        }

        asking = true;
        try
        {
            var dialog = await Dialogs.ShowAsync<HandDialog>($"{offer.Word}: {what}?", parameters);
            if (await dialog.Result is { Canceled: false, Data: HandSaid said })
            {
                await Act(offer, said);
            }
        }
        finally
        {
            asking = false;
        }
    }

    private async Task Act(HandOffer offer, HandSaid said)
    {
        busy = true;
        var request = new HoldRequest { Run = Run, Stage = Stage, Number = Number, By = said.By, Reason = said.Why };
        request.Lasting = offer.Lasts && said.Lasting > TimeSpan.Zero ? Duration.FromTimeSpan(said.Lasting) : null;
        var options = new CallOptions(deadline: Faults.DeadlineFromNow());
        try
        {
            await (offer.Verb switch
            {
                "hold" => Ops.HoldRunAsync(request, options),
                "take" => Ops.TakeIncidentAsync(request, options),
                "undo" => Ops.UndoIncidentAsync(request, options),
                _ => Ops.ReleaseRunAsync(request, options),
            });
            trouble = null;
        }
        catch (RpcException fault)
        {
            trouble = Faults.InWords(fault);
        }
        finally
        {
            busy = false;
        }

        await Done.InvokeAsync();
    }

    private static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];
}

/// <param name="Lasts">It may let go by itself after a time.</param>
public sealed record HandOffer(string Verb, string Word, string Effect, bool Lasts)
{
    public static HandOffer Hold { get; } = new("hold", "Hold automation",
        "Automation watches on and says what it would do, and ends, replaces and launches nothing until the hold is released. What is "
        + "broken stays broken meanwhile, and its GPUs wait. A number that is not finite is acted on all the same.", true);

    public static HandOffer Release { get; } = new("release", "Release automation",
        "Automation acts again at once: what it said it would do, it does.", false);

    public static HandOffer Take { get; } = new("take", "Take over",
        "The incident is yours. What automation still meant to do about it is not done, and nothing of the run is launched again by itself "
        + "until you give it back.", true);

    public static HandOffer GiveBack { get; } = new("give-back", "Give back",
        "Automation goes on with the incident where it was, and acts on the run again.", false);

    public static HandOffer Undo { get; } = new("undo", "Take back what was done", "", false);
}

public sealed record HandSaid(string By, string Why, TimeSpan Lasting);
