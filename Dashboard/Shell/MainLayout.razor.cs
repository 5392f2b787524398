using DeepSeekOps.Dashboard.Theme;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.JSInterop;
using MudBlazor;

namespace DeepSeekOps.Dashboard.Shell;

public sealed partial class MainLayout : IAsyncDisposable
{
    private ErrorBoundary? boundary;
    private bool dark;
    private string preference = "system";
    private IJSObjectReference? module;
    private DotNetObjectReference<MainLayout>? self;

    [Inject] public required IJSRuntime Js { get; init; }

    [CascadingParameter] public ThemeChoice Initial { get; set; } = ThemeChoice.System;

    [CascadingParameter(Name = "Who")] public string Who { get; set; } = "";

    private string themeLabel => $"Colours: {preference}. Change to {new ThemeChoice(preference, dark).Next}";

    private string themeIcon => preference switch
    {
        "light" => Icons.Material.Outlined.LightMode,
        "dark" => Icons.Material.Outlined.DarkMode,
        _ => Icons.Material.Outlined.BrightnessAuto,
    };

    protected override void OnInitialized() => (preference, dark) = Initial;

    protected override void OnParametersSet() => boundary?.Recover();

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (!firstRender)
        {
            return;
        }
        self = DotNetObjectReference.Create(this);
        module = await Js.InvokeAsync<IJSObjectReference>("import", "./_content/DeepSeekOps.Dashboard/js/theme.js");
        await module.InvokeVoidAsync("watch", self);
    }

    [JSInvokable]
    public void OnThemeResolved(string chosen, bool isDark)
    {
        (preference, dark) = (chosen, isDark);
        StateHasChanged();
    }

    private async Task NextTheme()
    {
        if (module is not null)
        {
            await module.InvokeVoidAsync("choose", new ThemeChoice(preference, dark).Next);
        }
    }

    public async ValueTask DisposeAsync()
    {
        self?.Dispose();
        try
        {
            if (module is not null)
            {
                await module.DisposeAsync();
            }
        }
        catch (JSDisconnectedException)
        {
            // The tab is closed: its module went with it.
        }
    }
}
