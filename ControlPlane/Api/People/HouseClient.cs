using System.Security.Claims;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Components.Authorization;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>The control plane's own way to its door, for what it does for its owner: `dev --submit`, TrainingPipelines.</summary>
internal sealed class HouseClient : IDisposable
{
    private readonly GrpcChannel channel;

    public HouseClient(string address, AccessKey key)
    {
        channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            HttpHandler = new TokenHeader(key.PeoplesToken, "cli", $"{Environment.UserName}@{Environment.MachineName}")
            {
                InnerHandler = new SocketsHttpHandler { UseProxy = false },
            },
            DisposeHttpClient = true,
        });
        Client = new OpsService.OpsServiceClient(channel);
    }

    public OpsService.OpsServiceClient Client { get; }

    public void Dispose() => channel.Dispose();
}

/// <summary>Pages call for whoever opened them: what they may not, is refused by the same gate as everybody's.</summary>
internal static class PageCalls
{
    public static void AddPageCalls(this IServiceCollection services, string address, AccessKey key) =>
        services.AddGrpcClient<OpsService.OpsServiceClient>(client => client.Address = new Uri(address))
            // Loopback, within one process.
            .ConfigureChannel(channel => channel.UnsafeUseInsecureChannelCallCredentials = true)
            .AddCallCredentials(async (_, headers, page) =>
            {
                var opened = await page.GetRequiredService<AuthenticationStateProvider>().GetAuthenticationStateAsync();
                string token = opened.User.FindFirstValue(PeopleAtTheDoor.TokenClaim)
                    ?? throw new RpcException(new Status(StatusCode.Unauthenticated,
                        "Nobody is known to have opened this page; load it again."));
                if (token.Length > 0)
                {
                    headers.Add(TokenHeader.OnBehalf, token);
                }
            })
            .AddHttpMessageHandler(() => new TokenHeader(key.PeoplesToken, "page"));
}
