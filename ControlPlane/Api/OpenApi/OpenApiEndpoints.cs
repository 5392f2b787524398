using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Api.OpenApi;

/// <summary>/openapi.json for tools and /api for people. The page is made here too: nothing is fetched from elsewhere.</summary>
internal static class OpenApiEndpoints
{
    private const string ProtoResource = "ops.proto";

    private static readonly Lazy<JsonObject> Document = new(() =>
        OpenApiDocument.Of(OpsService.Descriptor, ProtoComments.Of(Proto()), ProgramVersion.Text));

    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void MapOpenApi(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/openapi.json", () => Results.Text(Document.Value.ToJsonString(Readable), "application/json", Encoding.UTF8));
        routes.MapGet("/ops.proto", () => Results.Text(Proto(), "text/plain", Encoding.UTF8));
        routes.MapGet("/api", () => Results.Text(Page(Document.Value), "text/html", Encoding.UTF8));
    }

    private static string Proto()
    {
        using var stream = typeof(OpenApiEndpoints).Assembly.GetManifestResourceStream(ProtoResource)
            ?? throw new InvalidOperationException($"{ProtoResource} is not in the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private static string Page(JsonObject document)
    {
        var html = new StringBuilder("""
            <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>DeepSeekOps API</title><style>
            :root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
            code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}section{border-top:1px solid #8884;padding:.75rem 0}h2{font-size:1rem;margin:0}
            .verb{display:inline-block;min-width:3.2rem;font-weight:700;text-transform:uppercase}p{margin:.25rem 0}dt{float:left;clear:left;margin-right:.75rem}
            dd{margin:0 0 0 10rem}</style></head><body><main><h1>DeepSeekOps API</h1>
            <p>REST and gRPC from one definition: <a href="/openapi.json">openapi.json</a>, <a href="/ops.proto">ops.proto</a>.
            Calls that watch answer with one JSON object per line until you go.</p>
            <p><code>curl -N http://HOST:PORT/v1/runs:watch</code></p>

            """);
        foreach (var (path, operations) in document["paths"]?.AsObject() ?? [])
        {
            foreach (var (verb, operation) in operations?.AsObject() ?? [])
            {
                html.Append("<section><h2><span class=\"verb\">").Append(Safe(verb)).Append("</span> <code>").Append(Safe(path))
                    .Append("</code></h2><p>")
                    .Append(Safe((string?)(operation?["description"] ?? operation?["summary"]) ?? "")).Append("</p>");
                AppendParameters(html, operation?["parameters"] as JsonArray ?? []);
                html.Append("</section>\n");
            }
        }
        return html.Append("</main></body></html>\n").ToString();
    }

    private static void AppendParameters(StringBuilder html, JsonArray parameters)
    {
        if (parameters.Count == 0)
        {
            return;
        }
        html.Append("<dl>");
        foreach (var parameter in parameters)
        {
            html.Append("<dt><code>").Append(Safe((string?)parameter?["name"] ?? "")).Append("</code></dt><dd>")
                .Append(Safe((string?)parameter?["description"] ?? (string?)parameter?["schema"]?["type"] ?? "")).Append("</dd>");
        }
        html.Append("</dl>");
    }

    private static string Safe(string text) => HtmlEncoder.Default.Encode(text);
}
