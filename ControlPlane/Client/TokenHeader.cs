using System.Net.Http.Headers;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>Shows the people's token with each call, and says by which door it comes and who uses it.</summary>
internal sealed class TokenHeader(string token, string door = "", string user = "") : DelegatingHandler
{
    /// <summary>"cli", "page", "kubectl": what a caller says of itself. It goes into the audit log and opens nothing.</summary>
    public const string Door = "dsops-door";

    /// <summary>The account and machine that a program runs as, as it says; percent-encoded.</summary>
    public const string User = "dsops-user";

    /// <summary>The token whose page the house calls for.</summary>
    public const string OnBehalf = "dsops-on-behalf";

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (token.Length > 0)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        if (door.Length > 0 && !request.Headers.Contains(Door))
        {
            request.Headers.Add(Door, door);
        }

        if (user.Length > 0 && !request.Headers.Contains(User))
        {
            request.Headers.Add(User, Uri.EscapeDataString(user));
        }

        return base.SendAsync(request, cancellationToken);
    }
}
