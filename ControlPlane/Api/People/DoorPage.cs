using System.Text.Encodings.Web;
using DeepSeekOps.ControlPlane.Api.People.Oidc;

namespace DeepSeekOps.ControlPlane.Api.People;

/// <summary>
/// Pages for who is not let in yet: no script, no file of ours, the browser's own colours, by day and by night. All that they are told is
/// text.
/// </summary>
internal static class DoorPage
{
    private const string Style = """
        body{font:16px/1.5 system-ui,sans-serif;margin:0;padding:1.5rem 1rem;background:Canvas;color:CanvasText}
        main{max-width:34rem;margin:0 auto}h1{font-size:1.5rem}p{overflow-wrap:anywhere}
        a.go,button{display:inline-block;font:inherit;padding:.6rem 1.1rem;border:1px solid ButtonBorder;border-radius:8px;
        background:ButtonFace;color:ButtonText;text-decoration:none;cursor:pointer}
        input{font:inherit;width:100%;box-sizing:border-box;padding:.55rem;margin:.3rem 0}
        a:focus-visible,button:focus-visible,input:focus-visible{outline:3px solid Highlight;outline-offset:2px}
        """;

    private const string TokenForm = """
        <form method="post" action="/sign-in"><p><label>Or show a token that an admin made for you:
        <input name="token" type="password" autocomplete="off" required></label> <button>Open</button></p></form>
        """;

    /// <summary>
    /// Asks who is there. Followed from another site, a link comes without the cookie that the browser may well have: the page asks once
    /// more, from here.
    /// </summary>
    public static Task Ask(HttpContext context, string said = "")
    {
        bool fromElsewhere = context.Request.Headers["Sec-Fetch-Site"] == "cross-site";
        string here = context.Request.Path.ToUriComponent() + context.Request.QueryString;
        string alert = $"<p role=\"alert\">{Text(said)}</p>";
        const string owner = """
            <p>This dashboard opens for the user who started it. Open the address that <code>dsops dev</code> printed;
            it has a code in it.</p>
            <p>To see it again, run <code>dsops url</code> as that user, in the folder where it was started or with
            <code>--data-dir DIR</code>.</p>
            """;
        const string renewed = "<p>An address with a code that opens nothing is of another data directory, or its key was renewed.</p>";
        return context.RequestServices.GetService<OidcSettings>() is { } oidc
            ? Write(context, StatusCodes.Status401Unauthorized, "Sign in",
                $"{alert}{Go(context, oidc, here)}{TokenForm}<details><summary>You started this control plane?</summary>{owner}{renewed}"
                    + "</details>", fromElsewhere ? here : null)
            : Write(context, StatusCodes.Status401Unauthorized, "Who is there?", $"{owner}{TokenForm}{alert}{renewed}",
                fromElsewhere ? here : null);
    }

    /// <summary>What became of a sign-in, or of its end.</summary>
    /// <param name="again">Offer to sign in.</param>
    public static Task Tell(HttpContext context, int status, string title, string words, bool again = true)
    {
        string way = again && context.RequestServices.GetService<OidcSettings>() is { } oidc ? Go(context, oidc, "/") : "";
        return Write(context, status, title, $"<p role=\"alert\">{Text(words)}</p>{way}<p><a href=\"/\">The dashboard</a></p>", null);
    }

    /// <summary>
    /// On from here, by this page's own doing: what a provider sends back comes from another site, and a browser shows no cookie for it.
    /// </summary>
    public static Task GoOn(HttpContext context, string name, string to) => Write(context, StatusCodes.Status200OK, "Signed in",
        $"<p>You are {Text(name)}.</p><p><a class=\"go\" href=\"{Text(to)}\">Go on</a></p>", to);

    private static string Go(HttpContext context, OidcSettings oidc, string to)
    {
        string query = QueryString.Create("to", to).ToUriComponent();
        return $"<p><a class=\"go\" href=\"/sign-in/start{Text(query)}\">Sign in with {Text(new Uri(oidc.Authority).Host)}</a></p>";
    }

    private static string Text(string text) => HtmlEncoder.Default.Encode(text);

    private static async Task Write(HttpContext context, int status, string title, string body, string? refresh)
    {
        string again = refresh is null ? "" : $"<meta http-equiv=\"refresh\" content=\"0;url={Text(refresh)}\">";
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/html; charset=utf-8";
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsync($"""
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">{again}
            <title>{title} - DeepSeekOps</title><style>{Style}</style></head>
            <body><main><h1>{title}</h1>
            {body}
            </main></body></html>
            """, context.RequestAborted);
    }
}
