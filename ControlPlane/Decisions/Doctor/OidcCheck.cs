using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>What a sign-in by OIDC would meet.</summary>
/// <param name="Authority">Of --oidc-authority.</param>
public sealed record OidcFacts(string Authority)
{
    /// <summary>Why its discovery document cannot be had. Empty: it can.</summary>
    public string Trouble { get; init; } = "";

    /// <summary>What the document says of itself.</summary>
    public string Issuer { get; init; } = "";

    /// <summary>Addresses in the document that are missing, or in clear: "token_endpoint 'http://…'".</summary>
    public ImmutableArray<string> Unusable { get; init; } = [];

    /// <summary>Null: it did not tell its time.</summary>
    public ClockOffset? Clock { get; init; }

    /// <summary>Where it sends people back to, each with the answer to a sign-in that asks for it. Null: not asked, or no answer.</summary>
    public ImmutableArray<(string Address, int? Status)> Redirects { get; init; } = [];

    /// <summary>People of other machines come in, by --public-url.</summary>
    public bool Public { get; init; }
}

/// <summary>Whether people can sign in by their provider. What trains does not ask.</summary>
public static class OidcCheck
{
    private const int Refused = 400, Failed = 500;

    public static ImmutableArray<Finding> Of(OidcFacts seen) => seen.Trouble.Length > 0
        ? [Finding.Fault("oidc.authority", $"{seen.Authority} gives no discovery document: {seen.Trouble.TrimEnd('.')}",
            "Correct --oidc-authority, or look after the provider, the network policy and a proxy between (HTTPS_PROXY). Who is signed in "
                + "goes on; nobody signs in anew.")]
        : [Authority(seen), Issuer(seen), ClockCheck.Of("oidc.clock", "the OIDC provider", seen.Clock), .. Redirects(seen)];

    private static Finding Authority(OidcFacts seen) => seen.Unusable.IsEmpty
        ? Finding.Ok("oidc.authority", $"{seen.Authority} answers with its discovery document")
        : Finding.Fault("oidc.authority", $"{seen.Authority} names no usable {string.Join(", ", seen.Unusable)}",
            "Take the https address of a provider of OpenID Connect; one of OAuth alone lets nobody sign in.");

    /// <summary>Compared as text, as each token's is.</summary>
    private static Finding Issuer(OidcFacts seen) => seen.Issuer.TrimEnd('/') == seen.Authority.TrimEnd('/')
        ? Finding.Ok("oidc.issuer", $"it calls itself {seen.Issuer}")
        : Finding.Fault("oidc.issuer", $"it calls itself '{seen.Issuer}', so none of its tokens would be taken",
            $"Write what it calls itself, if that is whom you mean: --oidc-authority {seen.Issuer}");

    private static IEnumerable<Finding> Redirects(OidcFacts seen)
    {
        const string check = "oidc.redirect";
        if (!seen.Public)
        {
            yield return Finding.Warning(check, $"people come back to {seen.Redirects[0].Address}, which is on this machine alone",
                "Add --https and --public-url, and register that address with /sign-in/callback at the provider.");
        }

        foreach (var (address, status) in seen.Redirects)
        {
            yield return status switch
            {
                null => Finding.NotKnown(check, $"whether the provider sends people back to {address}: it did not answer"),
                >= Failed => Finding.NotKnown(check, $"whether the provider sends people back to {address}: it answers {status}"),
                >= Refused => Finding.Fault(check, $"the provider answers {status} to a sign-in that comes back to {address}",
                    "Register that very address as a redirect URI of the client of --oidc-client-id, and look whether the id is right."),
                _ => Finding.Ok(check, $"the provider takes a sign-in that comes back to {address}"),
            };
        }
    }
}
