using System.Security.Claims;
using System.Security.Cryptography;
using DeepSeekOps.ControlPlane.Storage.People;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.People;

namespace DeepSeekOps.ControlPlane.Api.People.Oidc;

/// <summary>
/// What a sign-in comes to: an entry in the list of tokens that only its cookie opens, with role and team as the provider told them now. It
/// is asked for with every click, so it can be listed and revoked as any token, and ends when its time is over.
/// </summary>
internal sealed class SignIns(OidcSettings settings, AccessKey key, AccessTokens tokens, TimeProvider clock)
{
    private const string SignIn = "sign-in";

    /// <summary>Random bytes of an id: no two are alike, in years.</summary>
    private const int IdBytes = 8;

    /// <summary>The provider has said who somebody is.</summary>
    public async Task Take(HttpContext context, ClaimsPrincipal? told, string? to)
    {
        var claims = told?.Claims.ToList() ?? [];
        if (OidcClaims.PersonOf(claims, settings.Authority) is not { } person)
        {
            await DoorPage.Tell(context, StatusCodes.Status401Unauthorized, "Not signed in", "The provider named nobody (sub).");
            return;
        }

        var values = OidcClaims.ValuesOf(claims, settings.RolesClaim);
        var (now, grant) = (clock.GetUtcNow(), settings.Grants.Of(values));
        if (grant is null)
        {
            string why = OidcClaims.NotMapped(person, values, settings);
            await tokens.Told(person, null, null,
                Act(context, person.Name, person.InWords, SignIn, "", AuditAct.Refused(why)), Ending, context.RequestAborted);
            await DoorPage.Tell(context, StatusCodes.Status403Forbidden, "Not let in", why);
            return;
        }

        string id = $"s{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdBytes))}";
        var made = new AccessToken(id, person.Name, grant.Role, grant.Team, now, now + settings.Session, SignIn)
        {
            Person = person, SignIn = true,
        };
        await tokens.Told(person, grant, made,
            Act(context, person.Name, made.Holder.InWords, SignIn, made.Id, AuditAct.Done), Ending, context.RequestAborted);
        AccessGuard.SetCookie(context, key, key.CookieOfToken(made.Id), settings.Session);
        await DoorPage.GoOn(context, person.Name, OidcDoor.Local(to));
    }

    private AuditAct Ending(AccessToken token) => new(Guid.CreateVersion7().ToString("N"), clock.GetUtcNow(), "people", "system", "system",
        "revoke-token", "", token.Id, $"its person signed in with less: {token.Person?.InWords}", AuditAct.Done);

    private AuditAct Act(HttpContext context, string who, string by, string act, string target, string outcome) =>
        new(Guid.CreateVersion7().ToString("N"), clock.GetUtcNow(), who, by, $"page, {context.Connection.RemoteIpAddress}", act, "", target,
            "", outcome);
}
