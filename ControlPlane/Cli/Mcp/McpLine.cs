using System.Text.Json;
using System.Text.Json.Nodes;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace DeepSeekOps.ControlPlane.Cli.Mcp;

/// <summary>
/// What an assistant sent, before the protocol's library has it: that calls a text which is no text an error of its own (-32603), and
/// passes over in silence what it cannot give a number. Here each has its code and what to write instead.
/// </summary>
internal static class McpLine
{
    /// <summary>Ours: of a request, which has some hundred bytes.</summary>
    public const int BytesMost = 1 << 20;

    /// <summary>System.Text.Json's own limit, which the library keeps.</summary>
    private const int DepthMost = 64;

    /// <summary>What a method needs before it can say more of it.</summary>
    private static readonly (string Method, string Field, JsonValueKind Kind, bool Needed)[] Fields =
    [
        ("tools/call", "name", JsonValueKind.String, true), ("tools/call", "arguments", JsonValueKind.Object, false),
        ("resources/read", "uri", JsonValueKind.String, true),
    ];

    private static readonly string[] LogLevels = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

    public static byte[] TooLong { get; } =
        Reply(null, McpErrorCode.ParseError, $"The line is longer than {BytesMost} bytes. Send one request a line, and shorter.");

    /// <returns>Null: it is for the server. Empty: it is wrong, and nobody waits for a reply. Else the reply.</returns>
    public static byte[]? Refusal(byte[] line)
    {
        try
        {
            using var json = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = BytesMost });
            return Refusal(json.RootElement, line);
        }
        catch (JsonException e)
        {
            return Reply(null, McpErrorCode.ParseError,
                $"The line is no JSON at byte {(e.BytePositionInLine ?? 0) + 1}. Send a request as one line of JSON.");
        }
    }

    private static byte[]? Refusal(JsonElement root, byte[] line)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            return Reply(null, McpErrorCode.InvalidRequest, $"The line is {Kind(root.ValueKind)}. Send one request a line, an object.");
        }

        var (deepest, whole) = Read(line);
        // Another name in it may be no text, which is told with this number.
        var id = root.EnumerateObject().Where(p => IsText(() => p.NameEquals("id"))).Select(p => p.Value).LastOrDefault();
        string? number = IsText(() => id.ValueKind == JsonValueKind.Number ? id.TryGetInt64(out _)
            : id.ValueKind == JsonValueKind.String && id.GetString() is not null) ? id.GetRawText() : null;
        return Wrong(root, whole, deepest) is { } wrong
            ? id.ValueKind == JsonValueKind.Undefined && whole ? [] : Reply(number, wrong.Code, wrong.Words)
            : id.ValueKind != JsonValueKind.Undefined && number is null && root.TryGetProperty("method", out _)
                ? Reply(null, McpErrorCode.InvalidRequest,
                    $"id is {Kind(id.ValueKind)}. Write a whole number or a text, or leave it out where no reply is wanted.") : null;
    }

    private static (McpErrorCode Code, string Words)? Wrong(JsonElement root, bool whole, int deepest)
    {
        if (!whole)
        {
            return (McpErrorCode.ParseError,
                "A text in it is no text: a \\uD800 to \\uDFFF stands alone, or bytes are no UTF-8. Write whole characters.");
        }

        if (deepest > DepthMost)
        {
            return (McpErrorCode.ParseError, $"It is {deepest} levels deep. Nothing here takes more than {DepthMost}.");
        }

        if (HasTwice(root))
        {
            return (McpErrorCode.InvalidRequest, "An object in it has a name twice. Write each once.");
        }

        if (!root.TryGetProperty("jsonrpc", out var version) || version.ValueKind != JsonValueKind.String || !version.ValueEquals("2.0"))
        {
            return (McpErrorCode.InvalidRequest, "jsonrpc is not \"2.0\". Write \"jsonrpc\":\"2.0\".");
        }

        return root.TryGetProperty("method", out var method)
            ? method.ValueKind == JsonValueKind.String ? Wrong(root, method.GetString() ?? "")
                : (McpErrorCode.InvalidRequest, $"method is {Kind(method.ValueKind)}. Write the method's name, such as \"tools/list\".")
            : root.TryGetProperty("result", out _) || root.TryGetProperty("error", out _) ? null
            : (McpErrorCode.InvalidRequest, "method is missing. Write the method's name, such as \"tools/list\".");
    }

    private static (McpErrorCode Code, string Words)? Wrong(JsonElement root, string method)
    {
        bool given = root.TryGetProperty("params", out var parameters) && parameters.ValueKind != JsonValueKind.Null;
        if (given && parameters.ValueKind != JsonValueKind.Object)
        {
            return (McpErrorCode.InvalidParams, $"params is {Kind(parameters.ValueKind)}. Write an object.");
        }

        if (given && parameters.TryGetProperty("_meta", out var meta) && MetaWrong(meta) is { } wrong)
        {
            return (McpErrorCode.InvalidParams, wrong);
        }

        foreach (var (_, field, kind, needed) in Fields.Where(f => f.Method == method))
        {
            var value = given && parameters.TryGetProperty(field, out var found) ? found : default;
            bool absent = value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null;
            if (absent ? needed : value.ValueKind != kind)
            {
                return (McpErrorCode.InvalidParams,
                    $"params.{field} of {method} is {(absent ? "missing" : Kind(value.ValueKind))}. Write {Kind(kind)}.");
            }
        }

        return null;
    }

    /// <summary>The library reads these of each request before anything else, and fails.</summary>
    private static string? MetaWrong(JsonElement meta)
    {
        const string prefix = "io.modelcontextprotocol/";
        return meta.ValueKind == JsonValueKind.Null ? null
            : meta.ValueKind != JsonValueKind.Object ? $"params._meta is {Kind(meta.ValueKind)}. Write an object."
            : Fits<Implementation>("clientInfo") ?? Fits<ClientCapabilities>("clientCapabilities")
                ?? (Given("logLevel") is { } level && !(level.ValueKind == JsonValueKind.String && LogLevels.Any(level.ValueEquals))
                    ? Other("logLevel") : null);

        JsonElement? Given(string name) => meta.TryGetProperty(prefix + name, out var value) ? value : null;

        static string Other(string name) =>
            $"params._meta has a {prefix}{name} of another kind than the protocol's. Write it as the protocol has it, or leave it out.";

        string? Fits<T>(string name)
        {
            try
            {
                _ = Given(name) is { } value ? value.Deserialize<T>(McpJsonUtilities.DefaultOptions) : default;
                return null;
            }
            catch (JsonException)
            {
                return Other(name);
            }
        }
    }

    /// <summary>How deep it is, and whether all of its texts are texts.</summary>
    private static (int Deepest, bool Whole) Read(byte[] line)
    {
        var reader = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = BytesMost });
        int deepest = 0;
        try
        {
            while (reader.Read())
            {
                // What begins here counts, and has not raised the reader's own number yet.
                deepest = Math.Max(deepest, reader.CurrentDepth
                    + (reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray ? 1 : 0));
                _ = reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName ? reader.GetString() : "";
            }

            return (deepest, true);
        }
        catch (InvalidOperationException)
        {
            return (deepest, false);
        }
    }

    /// <summary>False too where what is looked at is no text.</summary>
    private static bool IsText(Func<bool> look)
    {
        try
        {
            return look();
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private static bool HasTwice(JsonElement root)
    {
        var open = new Stack<JsonElement>([root]);
        while (open.TryPop(out var value))
        {
            if (value.ValueKind == JsonValueKind.Object)
            {
                var names = new HashSet<string>(StringComparer.Ordinal);
                foreach (var property in value.EnumerateObject())
                {
                    if (!names.Add(property.Name))
                    {
                        return true;
                    }

                    open.Push(property.Value);
                }
            }
            else if (value.ValueKind == JsonValueKind.Array)
            {
                value.EnumerateArray().ToList().ForEach(open.Push);
            }
        }

        return false;
    }

    private static string Kind(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };

    /// <param name="id">As JSON. Null: it is not known whose reply it is.</param>
    private static byte[] Reply(string? id, McpErrorCode code, string words)
    {
        var reply = new JsonObject
        {
            ["jsonrpc"] = "2.0", ["id"] = id is null ? null : JsonNode.Parse(id),
            ["error"] = new JsonObject { ["code"] = (int)code, ["message"] = words },
        };
        return [.. JsonSerializer.SerializeToUtf8Bytes(reply), (byte)'\n'];
    }
}
