using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Parsing;
using DeepSeekOps.ControlPlane.Api.People.Oidc;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.Decisions.People;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>By whom people of `serve` sign in, and `doctor` looks whether they could.</summary>
internal sealed class OidcOptions
{
    /// <summary>Ours: shorter, and people do nothing but sign in; longer, and who has left is in for days.</summary>
    private static readonly (TimeSpan Least, TimeSpan Most) Sessions = (TimeSpan.FromMinutes(5), TimeSpan.FromHours(24));

    private readonly Option<string?> authority = new("--oidc-authority")
    {
        Description = "The OIDC provider by which people sign in, as it names itself, such as https://login.example.com/realms/ops: "
            + "docs/operating.md. It needs --oidc-client-id and somebody who may come in. Default: people show API tokens.",
        HelpName = "URL",
    };

    private readonly Option<string?> client = new("--oidc-client-id")
    {
        Description = "As what this control plane is registered at the provider; tokens have to be made for it.", HelpName = "ID",
    };

    private readonly Option<string?> secretFile = new("--oidc-client-secret-file")
    {
        Description = $"File whose first line is the client's secret; {FirstLineFile.OidcSecret} in the environment does the same. "
            + "Default: a public client, by PKCE alone.",
        HelpName = "FILE",
    };

    private readonly Option<string> claim = new("--oidc-roles-claim")
    {
        Description = "The claim of an ID token whose values say what somebody may.", HelpName = "NAME",
        DefaultValueFactory = _ => OidcSettings.UsualClaim,
    };

    private readonly Option<TimeSpan?> session = new("--oidc-session")
    {
        Description = "How long a sign-in lasts, 5m to 24h; roles are read anew with the next one. Default: 8h.", HelpName = "TIME",
        CustomParser = result => IncidentsVerb.ParseSpan(result, "--oidc-session"),
    };

    private readonly (Role Role, Option<string?> Option)[] roles =
    [
        (Role.Admin, Given("--oidc-admins", "admins")), (Role.Operator, Given("--oidc-operators", "operators")),
        (Role.Viewer, Given("--oidc-viewers", "viewers")),
    ];

    public OidcOptions()
    {
        authority.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && AuthorityOf(token.Value) is null)
            {
                result.AddError($"--oidc-authority is '{token.Value}'; write an https address without query, such as "
                    + "https://login.example.com/realms/ops. http is for a provider on this machine alone.");
            }
        });
        session.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && IncidentsVerb.ReadSpan(token.Value) is { } span
                && (span < Sessions.Least || span > Sessions.Most))
            {
                result.AddError($"--oidc-session is '{token.Value}'; a sign-in lasts between 5m and 24h.");
            }
        });
    }

    public void AddTo(Command command)
    {
        Array.ForEach<Option>([authority, client, secretFile, claim, session, .. roles.Select(r => r.Option)], command.Add);
        command.Validators.Add(CheckTogether);
    }

    /// <param name="readSecret">False: whether its file can be read is asked elsewhere.</param>
    public ControlPlaneOptions Of(ParseResult parsed, ControlPlaneOptions options, bool readSecret = true)
    {
        string secret = readSecret ? FirstLineFile.Secret(parsed.GetValue(secretFile)) : "";
        return AuthorityOf(parsed.GetValue(authority)) is not { } provider ? options : options with
        {
            Oidc = new OidcSettings(provider, parsed.GetValue(client) ?? "")
            {
                ClientSecret = secret, RolesClaim = parsed.GetValue(claim) ?? OidcSettings.UsualClaim,
                Session = parsed.GetValue(session) ?? OidcSettings.UsualSession,
                Grants = new Grants([.. roles.SelectMany(r => GrantsOf(parsed.GetValue(r.Option), r.Role)).OfType<Grant>()]),
                SecretFile = parsed.GetValue(secretFile),
            },
        };
    }

    private static Option<string?> Given(string name, string what)
    {
        var option = new Option<string?>(name)
        {
            Description = $"Values of the roles claim that make {what}: of every team, or of one as VALUE=TEAM.",
            HelpName = "VALUE[=TEAM][,…]",
        };
        option.Validators.Add(result =>
        {
            string text = result.Tokens is [var token] ? token.Value : "";
            if (result.Tokens.Count == 1 && GrantsOf(text, Role.Viewer) is var grants && (grants.IsEmpty || grants.Contains(null)))
            {
                result.AddError($"{name} is '{text}'; write values of the roles claim with commas between, each alone or with a team after "
                    + "'=', such as platform,alpha-ops=alpha. A team has letters, digits, '-', '_' and '.'.");
            }
        });
        return option;
    }

    private void CheckTogether(CommandResult result)
    {
        bool provider = Is(result, authority), registered = Is(result, client);
        Option? lonely = provider ? null : new Option[] { client, secretFile, session }.Concat(roles.Select(r => r.Option))
            .FirstOrDefault(o => result.GetResult(o) is { Implicit: false });
        if (lonely is not null)
        {
            result.AddError($"{lonely.Name} is given without --oidc-authority, and nobody signs in. Add --oidc-authority URL.");
        }
        else if (provider && !registered)
        {
            result.AddError("--oidc-authority is given without --oidc-client-id: register this control plane at the provider and write the "
                + "client's id with --oidc-client-id.");
        }
        else if (provider && !roles.Any(r => Is(result, r.Option)))
        {
            result.AddError("--oidc-authority lets nobody in: say which values of the roles claim give a role, with --oidc-admins, "
                + "--oidc-operators or --oidc-viewers.");
        }
    }

    private static bool Is(CommandResult result, Option<string?> option) => result.GetValue(option) is { Length: > 0 };

    /// <summary>Null in it: one that is no grant.</summary>
    private static ImmutableArray<Grant?> GrantsOf(string? text, Role role) => text is null ? []
        :
        [
            .. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(part =>
                part.LastIndexOf('=') is var at and >= 0 ? Team(part[..at].Trim(), part[(at + 1)..].Trim(), role)
                    : new Grant(part, role, "")),
        ];

    private static Grant? Team(string value, string team, Role role) => value.Length > 0 && team.Length > 0
        && team.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') ? new Grant(value, role, team) : null;

    /// <summary>Null: no address of a provider.</summary>
    private static string? AuthorityOf(string? text) => Uri.TryCreate(text, UriKind.Absolute, out var url)
        && (url.Scheme == Uri.UriSchemeHttps || (url.Scheme == Uri.UriSchemeHttp && url.IsLoopback))
        && url.Query.Length == 0 && url.Fragment.Length == 0 && url.UserInfo.Length == 0 ? text?.TrimEnd('/') : null;
}
