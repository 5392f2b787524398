using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Shell;

public sealed partial class HealthBanner : IAsyncDisposable
{
    private Subscription<Health>? stream;
    private Health health = new();
    private long heard;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    protected override void OnInitialized()
    {
        if (RendererInfo.IsInteractive)
        {
            stream = Subscription.Begin(stop => Ops.WatchHealth(new GetHealthRequest(), cancellationToken: stop), Show, Clock);
        }
    }

    /// <summary>A stream that fails says nothing of the health; that nobody answers, the browser tells.</summary>
    private Task Show(IReadOnlyList<Health> news) => InvokeAsync(() =>
    {
        if (news.Count > 0)
        {
            (health, heard) = (news[^1], heard + news.Count);
            StateHasChanged();
        }
    });

    public ValueTask DisposeAsync() => stream?.DisposeAsync() ?? ValueTask.CompletedTask;
}
