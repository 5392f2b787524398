using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace DeepSeekOps.ControlPlane.Api.People.Oidc;

/// <summary>Why a sign-in or a token of the provider opens nothing, for who sits before it.</summary>
internal static class OidcWords
{
    /// <summary>Null: it is as it should be.</summary>
    public static string? TroubleOf(OpenIdConnectConfiguration told, OidcSettings settings)
    {
        if (!settings.IsAuthority(told.Issuer ?? ""))
        {
            return $"The provider at {settings.Authority} calls itself '{Checked.Shown(told.Issuer ?? "")}'. --oidc-authority has to be "
                + "what the provider calls itself.";
        }

        string[] clear = [.. new[] { told.AuthorizationEndpoint, told.TokenEndpoint, told.JwksUri }
            .Where(address => !IsGuarded(address, settings))];
        return clear.Length == 0 ? null
            : $"The provider names '{Checked.Shown(clear[0] ?? "")}' for a sign-in, which is no https address: what is shown there would "
                + "cross the network in clear.";
    }

    /// <summary>A provider on loopback is of this machine, as tests have it.</summary>
    internal static bool IsGuarded(string? address, OidcSettings settings) => Uri.TryCreate(address, UriKind.Absolute, out var uri)
        && (uri.Scheme == Uri.UriSchemeHttps || (uri.IsLoopback && new Uri(settings.Authority).IsLoopback));

    public static string Away(OidcSettings settings) =>
        $"The OIDC provider {settings.Authority} gives no usable answer, so nobody can sign in by it now; who is signed in goes on. Try "
            + "again in a minute. Whoever runs this control plane finds the cause with `dsops doctor`.";

    public static string OfToken(Exception? why, OidcSettings settings) => why switch
    {
        SecurityTokenExpiredException e => FormattableString.Invariant(
            $"The token of {settings.Authority} expired on {e.Expires:yyyy-MM-dd HH:mm:ss} UTC. "),
        SecurityTokenNotYetValidException e => FormattableString.Invariant(
            $"The token of {settings.Authority} is good from {e.NotBefore:yyyy-MM-dd HH:mm:ss} UTC on only: ")
            + "the clock there or here is wrong. ",
        SecurityTokenInvalidAudienceException => $"The token is made for somebody else than {settings.ClientId}. ",
        SecurityTokenInvalidIssuerException => $"The token is of another issuer than {settings.Authority}. ",
        SecurityTokenSignatureKeyNotFoundException => $"The token is signed with a key that {settings.Authority} does not show. ",
        SecurityTokenNoExpirationException => "The token has no end (exp). ",
        SecurityTokenInvalidTypeException => "The token is neither an ID token nor an access token. ",
        _ => $"The token is not one that {settings.Authority} has signed for this. ",
    };

    /// <summary>The provider's own words may stand in it: they are text.</summary>
    public static string OfSignIn(Exception? why, OidcSettings settings)
    {
        for (var cause = why; cause is not null; cause = cause.InnerException)
        {
            if (cause is SecurityTokenException)
            {
                return OfToken(cause, settings) + "Sign in again.";
            }

            if (cause is OpenIdConnectProtocolInvalidNonceException)
            {
                return "What the provider sent back belongs to another sign-in (its nonce is not ours). Sign in again.";
            }

            if (cause is HttpRequestException or TaskCanceledException or IOException)
            {
                return Away(settings);
            }
        }

        return "This sign-in was not begun by this browser, was begun more than 15 minutes ago, or was used already; or the provider "
            + $"refused it{(why?.Data["error"] is string error ? $", saying '{Checked.Shown(error)}'" : "")}. Sign in again.";
    }
}
