using System.Net.Http.Headers;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>Shows the people's token with each call.</summary>
internal sealed class TokenHeader(string token) : DelegatingHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (token.Length > 0)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        return base.SendAsync(request, cancellationToken);
    }
}
