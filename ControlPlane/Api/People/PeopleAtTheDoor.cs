using System.Security.Claims;
using DeepSeekOps.ControlPlane.Api.People.Oidc;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Storage.People;
using DeepSeekOps.Decisions.People;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>Why what was shown opens nothing; told to who has shown it.</summary>
internal sealed record TurnedAway(string Why)
{
    /// <summary>He has proved who he is, and nothing here is for him.</summary>
    public bool IsKnown { get; init; }
}

/// <summary>Finds out who shows a token or a cookie: the owner, or somebody with a token of the list or of the OIDC provider.</summary>
/// <param name="oidc">Null: there is no provider.</param>
internal sealed class PeopleAtTheDoor(AccessKey key, AccessTokens tokens, TimeProvider clock, OidcDoor? oidc = null)
{
    /// <summary>Which token's page a circuit is of; empty: the owner's.</summary>
    public const string TokenClaim = "dsops-token";

    public async Task<bool> ByToken(HttpContext context, string token)
    {
        if (!key.IsPeoplesToken(token))
        {
            return oidc is not null && OidcDoor.CouldBeToken(token) ? await ByProvider(context, oidc, token)
                : LetIn(context, await tokens.Shown(token, context.RequestAborted));
        }

        // The house itself, for a page of somebody who may less: he decides, not the house.
        string of = context.Request.Headers[TokenHeader.OnBehalf].ToString();
        return of.Length == 0 ? LetIn(context, Holder.Owner)
            : LetIn(context, await tokens.Named(of, context.RequestAborted));
    }

    /// <summary>While the database gives no answer; see <see cref="AccessTokens.Recalled"/>.</summary>
    public bool ByMemory(HttpContext context, string token) => LetIn(context, tokens.Recalled(token));

    /// <summary>That it is no guess is known without looking it up: it is ours, or has opened before.</summary>
    public bool IsNoGuess(CallLimits limits, string token, string? cookie) => token.Length > 0
        ? key.IsPeoplesToken(token) || key.Agent(token) is not null || limits.HasOpened(token)
        : cookie is not null && (key.IsCookie(cookie) || key.TokenOfCookie(cookie) is not null);

    public async Task<bool> ByCookie(HttpContext context, string cookie) => key.IsCookie(cookie) ? LetIn(context, Holder.Owner)
        : key.TokenOfCookie(cookie) is { } id
            && LetIn(context, await tokens.Named(id, context.RequestAborted));

    private static async Task<bool> ByProvider(HttpContext context, OidcDoor oidc, string token)
    {
        var (who, away) = await oidc.Shown(token, context.RequestAborted);
        if (who is not null)
        {
            return LetIn(context, who);
        }

        context.Features.Set(away);
        return false;
    }

    private bool LetIn(HttpContext context, KnownToken? known)
    {
        if (known is not null && known.Opens(clock.GetUtcNow()))
        {
            return LetIn(context, known.Token.Holder);
        }

        if (known is { } over)
        {
            string which = over.Token.Holder.InWords;
            context.Features.Set(new TurnedAway(over.Ended.Length > 0 ? $"The {which} was {over.Ended}. "
                : FormattableString.Invariant($"The {which} expired on {over.Token.ExpiresAt:yyyy-MM-dd HH:mm} UTC. ")));
        }

        return false;
    }

    private static bool LetIn(HttpContext context, Holder holder)
    {
        context.Features.Set(holder);
        context.User = new ClaimsPrincipal(new ClaimsIdentity(
            [new Claim(TokenClaim, holder.TokenId), new Claim(ClaimTypes.Name, holder.Name)], "dsops"));
        return true;
    }
}
