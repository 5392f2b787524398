using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Storage;

namespace DeepSeekOps.ControlPlane.Api.Notices;

internal static class NoticeHosting
{
    /// <param name="here">Address of the pages on this machine, for links where the settings have no other.</param>
    public static IServiceCollection AddNotices(this IServiceCollection services, NoticeSettings? settings, string here)
    {
        var channels = ImmutableArray.CreateBuilder<INoticeChannel>();
        if (settings is { WebhookFile.Length: > 0 })
        {
            channels.Add(new Webhook(settings.WebhookFile));
        }

        if (settings?.Mail is { } mail)
        {
            channels.Add(new Mail(mail));
        }

        string address = settings is { Address.Length: > 0 } ? settings.Address : here;
        return services.AddSingleton(new NoticeOffice(channels.ToImmutable(), settings?.All ?? false, address))
            .AddSingleton(provider => NoticeSources.Of(provider.GetRequiredService<IncidentStore>(),
                provider.GetRequiredService<RunListQueries>(), provider.GetRequiredService<IGrainFactory>(),
                provider.GetRequiredService<FirstSilo>()))
            .AddSingleton<Notifier>().AddHostedService(provider => provider.GetRequiredService<Notifier>());
    }
}
