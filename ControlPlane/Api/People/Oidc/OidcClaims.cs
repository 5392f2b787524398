using System.Security.Claims;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.People;

namespace DeepSeekOps.ControlPlane.Api.People.Oidc;

/// <summary>What a provider's token says of somebody. It is signed; the words in it are still whatever somebody typed.</summary>
internal static class OidcClaims
{
    /// <summary>OIDC: "MUST NOT exceed 255 ASCII characters in length" (core 1.0, section 2).</summary>
    private const int SubjectMax = 255;

    /// <summary>Ours: as much as a name on a page and in the audit log is looked at.</summary>
    private const int NameMax = 100;

    /// <summary>Shown to who was let in nowhere, for him to tell an admin.</summary>
    private const int ValuesShown = 10;

    /// <summary>Null: it names nobody.</summary>
    public static Person? PersonOf(IReadOnlyCollection<Claim> claims, string issuer)
    {
        string subject = First(claims, "sub");
        if (subject.Length is 0 or > SubjectMax || subject != Plain(subject))
        {
            return null;
        }

        bool verified = First(claims, "email_verified") is not ("false" or "False");
        string[] names = [verified ? First(claims, "email") : "", First(claims, "preferred_username"), First(claims, "name"), subject];
        return new Person(issuer, subject, Checked.Words(names.Select(Plain).First(name => name.Length > 0), NameMax));
    }

    public static IReadOnlyList<string> ValuesOf(IEnumerable<Claim> claims, string name) =>
        [.. claims.Where(c => c.Type == name).Select(c => c.Value)];

    /// <summary>Who he is, what was told of him, and what to ask for.</summary>
    public static string NotMapped(Person person, IReadOnlyList<string> values, OidcSettings settings)
    {
        string told = values.Count == 0
            ? $"the token has no claim {settings.RolesClaim}. Ask who runs the provider to put it into tokens for {settings.ClientId}."
            : $"{settings.RolesClaim} is {string.Join(", ", values.Take(ValuesShown).Select(v => Checked.Shown(Plain(v))))}"
                + $"{(values.Count > ValuesShown ? $" and {values.Count - ValuesShown} more" : "")}, and none of these is given a role "
                + "here. Ask an admin of this control plane to map one (--oidc-viewers, --oidc-operators, --oidc-admins), or who runs the "
                + "provider to put you into a group that is.";
        return $"You are {person.InWords}, and you are let in nowhere: {told}";
    }

    private static string First(IEnumerable<Claim> claims, string name) => claims.FirstOrDefault(c => c.Type == name)?.Value ?? "";

    private static string Plain(string text) => PlainText.Of(text).Trim();
}
