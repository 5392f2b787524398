using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>Nothing until the stage's worker has told of its experts. Made anew for each stage, by its key.</summary>
public sealed partial class ExpertLoadPanel : IAsyncDisposable
{
    private Subscription<ExpertLoad>? stream;
    private ExpertLoad load = new();
    private (string Cells, string Names, string Steps, string Busiest) picture = ("", "", "", "");

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Parameter, EditorRequired] public string Run { get; set; } = "";

    [Parameter, EditorRequired] public string Stage { get; set; } = "";

    protected override void OnInitialized()
    {
        if (RendererInfo.IsInteractive)
        {
            var request = new GetExpertLoadRequest { Run = Run, Stage = Stage };
            stream = Subscription.Begin(stop => Ops.WatchExpertLoad(request, cancellationToken: stop), Show, Clock);
        }
    }

    /// <summary>A stream that fails shows no more than it did; the page's own stream says what is wrong.</summary>
    private Task Show(IReadOnlyList<ExpertLoad> news) => InvokeAsync(() =>
    {
        if (news.Count == 0)
        {
            return;
        }
        load = news[^1];
        if (load.Newest is { } newest)
        {
            picture = (ExpertPicture.Cells(newest), ExpertPicture.Names(newest), ExpertPicture.Steps(load), ExpertPicture.Busiest(load));
        }
        StateHasChanged();
    });

    public async ValueTask DisposeAsync()
    {
        if (stream is not null)
        {
            await stream.DisposeAsync();
        }
    }
}
