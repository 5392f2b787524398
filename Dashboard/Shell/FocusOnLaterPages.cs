using Microsoft.AspNetCore.Components.Routing;

namespace DeepSeekOps.Dashboard.Shell;

/// <summary>
/// Moves the focus to the heading when another page is opened, for readers of the screen. The page that was loaded first keeps its focus:
/// it can be used before its circuit is open, and who has gone on by Tab until then would be thrown back.
/// </summary>
public sealed class FocusOnLaterPages : FocusOnNavigate
{
    private Type? loaded;
    private bool wentOn;

    protected override void OnParametersSet()
    {
        loaded ??= RouteData?.PageType;
        wentOn |= RouteData?.PageType != loaded;
        base.OnParametersSet();
    }

    protected override Task OnAfterRenderAsync(bool firstRender) => wentOn ? base.OnAfterRenderAsync(firstRender) : Task.CompletedTask;
}
