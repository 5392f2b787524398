using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MudBlazor;
using MudBlazor.Services;

namespace DeepSeekOps.Dashboard;

public static class Hosting
{
    /// <summary>The API takes no longer pipeline.</summary>
    private const int MostText = 1 << 20;

    /// <summary>The pages need an OpsServiceClient, which the host registers: it knows the address.</summary>
    public static IServiceCollection AddDashboard(this IServiceCollection services)
    {
        // A pipeline file of MostText characters, each of which JSON may write as six, is one message: the usual 32 kB end the circuit.
        services.AddRazorComponents().AddInteractiveServerComponents().AddHubOptions(o => o.MaximumReceiveMessageSize = 6 * MostText);
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
