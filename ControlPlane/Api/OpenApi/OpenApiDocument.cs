using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Google.Api;
using Google.Protobuf.Reflection;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace DeepSeekOps.ControlPlane.Api.OpenApi;

/// <summary>An OpenAPI 3 description of REST, made from the same proto that makes REST: it cannot be out of date.</summary>
internal static partial class OpenApiDocument
{
    public static JsonObject Of(ServiceDescriptor service, ProtoComments comments, string version)
    {
        var schemas = new OpenApiSchemas(comments);
        var paths = new JsonObject();
        foreach (var method in service.Methods)
        {
            if (method.GetOptions()?.GetExtension(AnnotationsExtensions.Http) is not { } rule)
            {
                continue;
            }
            var (verb, path) = Route(rule);
            var operations = paths[Template(path)] as JsonObject ?? [];
            operations[verb] = Operation(method, rule, path, comments.Of(service.Name, method.Name), schemas);
            paths[Template(path)] = operations;
        }
        return new JsonObject
        {
            ["openapi"] = "3.0.3",
            ["info"] = new JsonObject
            {
                ["title"] = "DeepSeekOps",
                ["version"] = version,
                ["description"] = "The control plane over REST. The same calls exist in gRPC; 64-bit numbers are JSON numbers here.",
            },
            ["paths"] = paths,
            ["components"] = new JsonObject { ["schemas"] = schemas.ToJson() },
        };
    }

    public static (string Verb, string Path) Route(HttpRule rule) => rule.PatternCase switch
    {
        HttpRule.PatternOneofCase.Get => ("get", rule.Get),
        HttpRule.PatternOneofCase.Post => ("post", rule.Post),
        HttpRule.PatternOneofCase.Put => ("put", rule.Put),
        HttpRule.PatternOneofCase.Delete => ("delete", rule.Delete),
        HttpRule.PatternOneofCase.Patch => ("patch", rule.Patch),
        _ => throw new NotSupportedException($"{rule.PatternCase} in an http rule"),
    };

    /// <summary>Proto says {name=pattern} where OpenAPI says {name}.</summary>
    private static string Template(string path) => Variable().Replace(path, "{$1}");

    private static JsonObject Operation(MethodDescriptor method, HttpRule rule, string path, string comment, OpenApiSchemas schemas)
    {
        var inPath = Variable().Matches(path).Select(match => match.Groups[1].Value).ToHashSet();
        string first = comment.Split(". ")[0].TrimEnd('.');
        var operation = new JsonObject
        {
            ["operationId"] = method.Name,
            ["summary"] = first.Length > 0 ? first : method.Name,
            ["tags"] = new JsonArray(TagOf(path)),
        };
        if (comment.Length > first.Length + 1)
        {
            operation["description"] = comment;
        }
        var parameters = new JsonArray();
        foreach (var field in method.InputType.Fields.InFieldNumberOrder()
            .Where(field => inPath.Contains(field.Name) || rule.Body.Length == 0))
        {
            parameters.Add(schemas.Parameter(field, inPath.Contains(field.Name)));
        }
        if (parameters.Count > 0)
        {
            operation["parameters"] = parameters;
        }
        if (rule.Body == "*")
        {
            operation["requestBody"] = new JsonObject { ["required"] = true, ["content"] = Json(schemas.Reference(method.InputType)) };
        }
        string answer = method.IsServerStreaming ? "A stream: one JSON object per line, until the caller goes." : "The answer.";
        operation["responses"] = new JsonObject
        {
            ["200"] = new JsonObject { ["description"] = answer, ["content"] = Json(schemas.Reference(method.OutputType)) },
            ["default"] = new JsonObject
            {
                ["description"] = "Refused: what is wrong, in words.",
                ["content"] = Json(OpenApiSchemas.ErrorReference()),
            },
        };
        return operation;
    }

    private static string TagOf(string path) =>
        path.Split('/', StringSplitOptions.RemoveEmptyEntries) is [_, var noun, ..] ? noun.Split(':')[0] : "other";

    private static JsonObject Json(JsonObject schema) => new() { ["application/json"] = new JsonObject { ["schema"] = schema } };

    [GeneratedRegex(@"\{(\w+)(?:=[^}]*)?\}")]
    private static partial Regex Variable();
}
