using System.Text.Json.Nodes;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Api.OpenApi;

/// <summary>Messages as JSON schemas, as JSON transcoding writes them.</summary>
internal sealed class OpenApiSchemas(ProtoComments comments)
{
    private const string ErrorName = "Error";

    private readonly SortedDictionary<string, MessageDescriptor> used = new(StringComparer.Ordinal);

    public static JsonObject ErrorReference() => new() { ["$ref"] = $"#/components/schemas/{ErrorName}" };

    public JsonObject Reference(MessageDescriptor message)
    {
        used.TryAdd(message.Name, message);
        return new JsonObject { ["$ref"] = $"#/components/schemas/{message.Name}" };
    }

    public JsonObject Parameter(FieldDescriptor field, bool inPath)
    {
        var parameter = new JsonObject
        {
            ["name"] = inPath ? field.Name : field.JsonName,
            ["in"] = inPath ? "path" : "query",
            ["required"] = inPath,
            ["schema"] = Type(field),
        };
        if (comments.Of(field.ContainingType.Name, field.Name) is { Length: > 0 } comment)
        {
            parameter["description"] = comment;
        }
        return parameter;
    }

    /// <summary>All messages that were referred to, and those that they refer to.</summary>
    public JsonObject ToJson()
    {
        var written = new JsonObject();
        while (used.Values.FirstOrDefault(message => !written.ContainsKey(message.Name)) is { } next)
        {
            written[next.Name] = Schema(next);
        }
        written[ErrorName] = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject
            {
                ["code"] = new JsonObject { ["type"] = "integer", ["description"] = "gRPC's status code." },
                ["message"] = new JsonObject { ["type"] = "string" },
                ["details"] = new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "object" } },
            },
        };
        return written;
    }

    private JsonObject Schema(MessageDescriptor message)
    {
        var properties = new JsonObject();
        foreach (var field in message.Fields.InFieldNumberOrder())
        {
            var type = field.IsMap
                ? new JsonObject { ["type"] = "object", ["additionalProperties"] = Type(field.MessageType.FindFieldByName("value")) }
                : field.IsRepeated ? new JsonObject { ["type"] = "array", ["items"] = Type(field) } : Type(field);
            if (comments.Of(message.Name, field.Name) is { Length: > 0 } comment && !type.ContainsKey("$ref"))
            {
                type["description"] = comment;
            }
            properties[field.JsonName] = type;
        }
        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties };
        if (comments.Above(message.Name) is { Length: > 0 } above)
        {
            schema["description"] = above;
        }
        return schema;
    }

    private JsonObject Type(FieldDescriptor field) => field.FieldType switch
    {
        FieldType.String => new JsonObject { ["type"] = "string" },
        FieldType.Bool => new JsonObject { ["type"] = "boolean" },
        FieldType.Bytes => new JsonObject { ["type"] = "string", ["format"] = "byte" },
        FieldType.Double or FieldType.Float => new JsonObject { ["type"] = "number" },
        FieldType.Int32 or FieldType.UInt32 or FieldType.SInt32 => new JsonObject { ["type"] = "integer", ["format"] = "int32" },
        FieldType.Int64 or FieldType.UInt64 or FieldType.SInt64 => new JsonObject { ["type"] = "integer", ["format"] = "int64" },
        FieldType.Enum => new JsonObject
        {
            ["type"] = "string",
            ["enum"] = new JsonArray([.. field.EnumType.Values.Select(value => (JsonNode)value.Name)]),
        },
        FieldType.Message when field.MessageType.ClrType == typeof(Timestamp) =>
            new JsonObject { ["type"] = "string", ["format"] = "date-time" },
        FieldType.Message when field.MessageType.ClrType == typeof(Duration) =>
            new JsonObject { ["type"] = "string", ["description"] = "Seconds with a trailing s: \"1.5s\"." },
        FieldType.Message => Reference(field.MessageType),
        _ => throw new NotSupportedException($"{field.FullName} has a type that REST does not carry"),
    };
}
