using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;
using Microsoft.JSInterop;

namespace DeepSeekOps.Dashboard.Pages.Submit;

/// <summary>What the text begins as: a draft that was left, an example, or another run's pipeline.</summary>
public sealed partial class SubmitPage
{
    private readonly Dictionary<string, string> notes = [];
    private Drafts drafts = null!;
    private Draft? kept;
    private string from = "";
    private string? begun;

    [Inject] public required IJSRuntime Js { get; init; }

    [SupplyParameterFromQuery] public string? Example { get; set; }

    [SupplyParameterFromQuery] public string? Clone { get; set; }

    /// <summary>With a clone: how many nodes it is to ask for, and for which of its stages.</summary>
    [SupplyParameterFromQuery(Name = "nodes")] public string? NodesAsked { get; set; }

    [SupplyParameterFromQuery] public string? Stage { get; set; }

    /// <summary>What is no number counts as left out.</summary>
    private int? Nodes => int.TryParse(NodesAsked, NumberStyles.None, CultureInfo.InvariantCulture, out int nodes) ? nodes : null;

    private static string FirstExample => Examples.Names.FirstOrDefault() ?? "";

    private string Asked => (Clone, Example) switch
    {
        ({ } clone, _) => $"clone={clone}&stage={Stage}&nodes={Nodes}",
        (null, { } example) => $"example={example}",
        _ => "",
    };

    protected override void OnInitialized() => drafts = new Drafts(Js);

    protected override async Task OnParametersSetAsync()
    {
        if (!RendererInfo.IsInteractive || begun == Asked)
        {
            return;
        }

        begun = Asked;
        kept = await drafts.Read(Asked);
        from = kept?.From ?? (Asked.Length > 0 ? Asked : $"example={FirstExample}");
        await Take(kept?.Text ?? await FirstText());
        await LookAtExamples();
    }

    private async Task BeginAnew()
    {
        await drafts.Drop(from);
        (kept, from) = (null, Asked.Length > 0 ? Asked : $"example={FirstExample}");
        await Take(await FirstText());
    }

    private async Task<string> FirstText()
    {
        if (Clone is null)
        {
            return Examples.Text(Example ?? "") ?? Examples.Text(FirstExample) ?? "";
        }

        try
        {
            string name = Nodes is null ? $"{Clone}-2" : $"{Clone}-{Nodes}n";
            var reply = await Ops.CloneRunAsync(
                new CloneRunRequest { Name = Clone, NewName = name, Nodes = Nodes ?? 0, Stage = Stage ?? "" },
                deadline: Faults.DeadlineFromNow());
            return reply.Text;
        }
        catch (RpcException fault)
        {
            refused = Faults.InWords(fault);
            return "";
        }
    }

    /// <summary>Whether each example could run here is said before anybody chooses it.</summary>
    private async Task LookAtExamples()
    {
        foreach (string name in Examples.Names.Where(n => !notes.ContainsKey(n)))
        {
            try
            {
                var reply =
                    await Ops.CheckPipelineAsync(new CheckPipelineRequest { Text = Examples.Text(name) ?? "" },
                        deadline: Faults.DeadlineFromNow());
                notes[name] = Note(reply);
            }
            catch (RpcException)
            {
                // The choice stands without the notes; the check of what is chosen says what is wrong.
                return;
            }
        }
    }

    private static string Note(CheckPipelineReply reply) =>
        reply.CannotStart.Length > 0 ? " – too large for this cluster, to plan with"
        : reply.Problems.Any(p => p.Severity == Severity.Error) ? " – names files that are not here"
        : "";
}
