using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MudBlazor;
using MudBlazor.Services;

namespace DeepSeekOps.Dashboard;

public static class Hosting
{
    /// <summary>The pages need an OpsServiceClient, which the host registers: it knows the address.</summary>
    public static IServiceCollection AddDashboard(this IServiceCollection services)
    {
        services.AddRazorComponents().AddInteractiveServerComponents();
        services.AddMudServices(o =>
        {
            o.SnackbarConfiguration.PositionClass = Defaults.Classes.Position.BottomRight;
            o.SnackbarConfiguration.PreventDuplicates = true;
        });
        services.TryAddSingleton(TimeProvider.System);
        return services;
    }

    public static IEndpointRouteBuilder MapDashboard(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapStaticAssets();
        // No page posts a form (all input goes through the circuit), so there is nothing for a token to protect.
        endpoints.MapRazorComponents<App>()
            .AddInteractiveServerRenderMode()
            .WithStaticAssets()
            .DisableAntiforgery();
        return endpoints;
    }
}
