using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Words;

/// <summary>Asked once for each question; who asks decides by <see cref="OnTold"/> whether the button is offered.</summary>
public sealed partial class Consequences
{
    private Foresight? foresight;
    private ForeseeRequest? asked;
    private string? trouble;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Parameter, EditorRequired] public ForeseeRequest Of { get; set; } = new();

    /// <summary>Whether it can be done. Where that cannot be told, it can: the server has the last word.</summary>
    [Parameter] public EventCallback<bool> OnTold { get; set; }

    protected override async Task OnParametersSetAsync()
    {
        if (!RendererInfo.IsInteractive || Of.Equals(asked))
        {
            return;
        }

        asked = Of.Clone();
        (foresight, trouble) = (null, null);
        var mine = asked;
        try
        {
            var told = await Ops.ForeseeAsync(asked, deadline: Faults.DeadlineFromNow());
            foresight = ReferenceEquals(mine, asked) ? told : foresight;
        }
        catch (RpcException fault)
        {
            trouble = Faults.InWords(fault);
        }

        await OnTold.InvokeAsync(foresight is not { Impossible.Length: > 0 });
    }
}
