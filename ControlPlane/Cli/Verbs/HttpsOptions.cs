using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Hosting.Tls;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>What `serve` is told so that people of other machines reach it, and `doctor` so that it looks whether they could.</summary>
internal sealed class HttpsOptions
{
    private readonly Option<string?> https = new("--https")
    {
        Description = "Address and port where pages, REST and gRPC are answered to other machines, by TLS, such as 0.0.0.0:8443: "
            + "docs/operating.md. It needs --public-url, --https-cert and --https-key. Default: on this machine alone.",
        HelpName = "ADDRESS:PORT",
    };

    private readonly Option<string?> certificate = new("--https-cert")
    {
        Description = "PEM file with the certificate of --https, and those that signed it after it; the port for monitoring shows it too. "
            + "Renewed files are taken without a restart.",
        HelpName = "FILE",
    };

    private readonly Option<string?> key = new("--https-key")
    {
        Description = "PEM file with the private key of --https-cert, unencrypted.", HelpName = "FILE",
    };

    private readonly Option<string?> names = new("--public-url")
    {
        Description = "Addresses by which people open --https, such as https://ops.example.com; other names are refused.",
        HelpName = "URL[,URL]",
    };

    public HttpsOptions()
    {
        https.Validators.Add(CheckAddress);
        names.Validators.Add(result =>
        {
            foreach (string wrong in Split(result.Tokens is [var token] ? token.Value : null).Where(text => UrlOf(text) is null))
            {
                result.AddError($"--public-url is '{wrong}'; write what people open, such as https://ops.example.com or "
                    + "https://ops.example.com:8443.");
            }
        });
    }

    public void AddTo(Command command)
    {
        Array.ForEach<Option>([https, certificate, key, names], command.Add);
        command.Validators.Add(CheckTogether);
    }

    public ControlPlaneOptions Of(ParseResult parsed, ControlPlaneOptions options) => options with
    {
        Https = parsed.GetValue(https) is { } address ? IPEndPoint.Parse(address) : null,
        PublicUrls = [.. Split(parsed.GetValue(names)).Select(UrlOf).OfType<Uri>()],
        Certificate = parsed.GetValue(certificate) is { } file && parsed.GetValue(key) is { } secret
            ? new PemFiles(Path.GetFullPath(file), Path.GetFullPath(secret),
                [.. Split(parsed.GetValue(names)).Select(UrlOf).OfType<Uri>().Select(url => url.IdnHost)])
            : null,
    };

    private static void CheckAddress(OptionResult result)
    {
        if (result.Tokens is [var token] && !(IPEndPoint.TryParse(token.Value, out var address) && address.Port > 0))
        {
            result.AddError($"--https is '{token.Value}'; write an IP address and a port, such as 0.0.0.0:8443.");
        }
    }

    private void CheckTogether(CommandResult result)
    {
        bool listens = Given(result, https), named = Given(result, names);
        bool shown = Given(result, certificate), secret = Given(result, key);
        if (shown != secret)
        {
            result.AddError($"{(shown ? "--https-cert" : "--https-key")} is given without {(shown ? "--https-key" : "--https-cert")}: name "
                + "both files.");
        }
        else if (listens && !shown)
        {
            result.AddError("--https has no certificate: without one, tokens and what pages show would cross the network in clear. Name "
                + "its files with --https-cert FILE and --https-key FILE.");
        }
        else if (listens && !named)
        {
            result.AddError("--https has no name: pages of anybody who points a name of his at this machine would be answered. Write what "
                + "people open with --public-url https://HOST.");
        }
        else if (named && !listens)
        {
            result.AddError("--public-url is given without --https, and nothing listens there. Add --https ADDRESS:PORT.");
        }
    }

    private static bool Given(CommandResult result, Option<string?> option) => result.GetValue(option) is { Length: > 0 };

    private static string[] Split(string? text) =>
        text?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    /// <summary>Null: no address of pages. They lie at the root of a host.</summary>
    private static Uri? UrlOf(string text) => Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme == Uri.UriSchemeHttps
        && url.PathAndQuery == "/" && url.UserInfo.Length == 0 && url.Fragment.Length == 0 ? url : null;
}
