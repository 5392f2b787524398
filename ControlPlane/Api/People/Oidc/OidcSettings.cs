using DeepSeekOps.Decisions.People;

namespace DeepSeekOps.ControlPlane.Api.People.Oidc;

/// <summary>By whom people sign in, and what they may then: the options `--oidc-…`.</summary>
/// <param name="Authority">As the provider names itself; its discovery document lies below.</param>
/// <param name="ClientId">As what this control plane is registered there; tokens have to be made for it.</param>
internal sealed record OidcSettings(string Authority, string ClientId)
{
    /// <summary>Where the provider sends people back to, below the address that they came by.</summary>
    public const string CallbackPath = "/sign-in/callback";

    public const string UsualClaim = "groups";

    /// <summary>Ours: a working day; who stays longer is asked once more, which the provider answers without a password.</summary>
    public static readonly TimeSpan UsualSession = TimeSpan.FromHours(8);

    /// <summary>Empty: a public client, which PKCE alone protects.</summary>
    public string ClientSecret { get; init; } = "";

    /// <summary>Where <see cref="ClientSecret"/> was read. Null: in no file.</summary>
    public string? SecretFile { get; init; }

    /// <summary>The claim whose values <see cref="Grants"/> maps. Default: <see cref="UsualClaim"/>.</summary>
    public string RolesClaim { get; init; } = UsualClaim;

    /// <summary>Who is given what. Nobody else is let in.</summary>
    public required Grants Grants { get; init; }

    /// <summary>How long a sign-in lasts, and how old a token of the provider may be. Default: <see cref="UsualSession"/>.</summary>
    public TimeSpan Session { get; init; } = UsualSession;

    /// <summary>Where people come in by TLS; cookies are for that alone. False: on loopback, in clear.</summary>
    public bool Https { get; init; }

    /// <summary>OIDC asks for the very same text; a slash at the end is what people leave out.</summary>
    public bool IsAuthority(string issuer) => string.Equals(issuer.TrimEnd('/'), Authority.TrimEnd('/'), StringComparison.Ordinal);

    public Uri Discovery => new($"{Authority.TrimEnd('/')}/.well-known/openid-configuration");
}
