using System.Collections.Immutable;
using System.Text;
using System.Text.Json;

namespace DeepSeekOps.Recipes.Data;

/// <summary>
/// One line of .jsonl. What it says and is not learned (tool calls, images, a weight of its own) is refused, never left out: the model
/// would learn something else than the line says. Messages tell place and kind, and nothing of the text itself: the file may be anybody's.
/// </summary>
public static class ConversationLine
{
    /// <summary>Of which a line has one. What a line says beside it is nobody's affair: sources, ids, dates.</summary>
    private static readonly ImmutableArray<string> Kinds = ["text", "question", "answer", "messages"];

    /// <summary>Exports nest what they know of a text; where more than this is nested, somebody tries something.</summary>
    private const int DepthMax = 1_000;

    private const string Shapes = "Write \"text\", or \"question\" and \"answer\", or \"messages\" in each line.";

    /// <param name="line">Without its line end; without a byte order mark.</param>
    /// <returns>Null: an empty line.</returns>
    /// <exception cref="BadInputException">What is wrong, with file and line.</exception>
    public static Conversation? Read(ReadOnlyMemory<byte> line, string file, long number)
    {
        try
        {
            return TextBytes.IsBlank(line.Span) ? null : Parse(line);
        }
        catch (BadInputException e)
        {
            throw new BadInputException($"'{file}', line {number}: {e.What}", e.Fix);
        }
    }

    /// <exception cref="BadInputException">What is wrong, without file and line.</exception>
    public static Conversation Parse(ReadOnlyMemory<byte> line)
    {
        try
        {
            using var document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = DepthMax });
            return document.RootElement.ValueKind == JsonValueKind.Object ? Of(document.RootElement) : throw NoObject();
        }
        catch (JsonException) when (IsTooDeep(line.Span))
        {
            throw new BadInputException($"it is nested more than {DepthMax:N0} deep.",
                "Is it the file that was meant? A conversation is three deep.");
        }
        catch (JsonException e)
        {
            throw new BadInputException(
                $"it is not a JSON object: byte {(e.BytePositionInLine ?? 0) + 1} fits none.",
                "Write one JSON object a line; NaN and Infinity are not JSON.");
        }
        catch (InvalidOperationException)
        {
            // JSON may escape half of a surrogate pair, as exports do that were cut at a number of characters.
            throw new BadInputException("a text has half of a character (a surrogate without its pair).",
                "Export the data again, or write \\ufffd in its place.");
        }
    }

    /// <summary>What is no JSON either way is told as that.</summary>
    private static bool IsTooDeep(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = int.MaxValue });
        try
        {
            while (reader.Read())
            {
                if (reader.CurrentDepth >= DepthMax && reader.TokenType is (JsonTokenType.StartArray or JsonTokenType.StartObject))
                {
                    return true;
                }
            }
        }
        catch (JsonException)
        {
            // Before it was too deep.
        }

        return false;
    }

    private static Conversation Of(JsonElement line)
    {
        OneAnswer(line);
        if (line.TryGetProperty("text", out var text))
        {
            return new Conversation([new Turn(Speaker.Assistant, Text(text, "text"))]);
        }

        if (line.TryGetProperty("question", out var question) && line.TryGetProperty("answer", out var answer))
        {
            return new Conversation(
                [new Turn(Speaker.User, Text(question, "question")), new Turn(Speaker.Assistant, Text(answer, "answer"))]);
        }

        return line.TryGetProperty("messages", out var messages) ? Messages(line, messages)
            : throw new BadInputException("it has none of the keys that are read.", Shapes);
    }

    /// <returns>Those of the names that the object has.</returns>
    private static string[] Once(JsonElement from, ImmutableArray<string> names)
    {
        string[] has = [.. from.EnumerateObject().Select(member => member.Name).Where(name => names.Contains(name))];
        return has.GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(name => name.Count() > 1) is { } twice
            ? throw new BadInputException($"it has \"{twice.Key}\" twice.", "Leave one of them out.") : has;
    }

    /// <summary>Of two texts neither is taken silently: what is learned would hang on which one is looked at first.</summary>
    private static void OneAnswer(JsonElement line)
    {
        string[] has = Once(line, Kinds);
        bool asked = has.Contains("question") && has.Contains("answer");
        string[] whole = [.. has.Where(name => name is "text" or "messages"), .. asked ? (string[])["question"] : []];
        if (whole.Length > 1)
        {
            throw new BadInputException(
                $"it has {string.Join(" and ", whole.Select(name => $"\"{name}\""))}, and one of them would be learned.",
                "Leave out what is not to be learned, or give it another name.");
        }
    }

    private static Conversation Messages(JsonElement line, JsonElement messages)
    {
        foreach (var field in (string[])["tools", "functions"])
        {
            Without(line, field, "a conversation that tells the model of tools is not learned");
        }

        return messages.ValueKind == JsonValueKind.Array && messages.GetArrayLength() > 0
            ? new Conversation([.. messages.EnumerateArray().Select((message, index) => ToTurn(message, index))])
            : throw new BadInputException("\"messages\" is not a list with messages in it.", Shapes);
    }

    private static Turn ToTurn(JsonElement message, int index)
    {
        try
        {
            return message.ValueKind == JsonValueKind.Object ? ToTurn(message)
                : throw new BadInputException("it is not an object.", "A message has \"role\" and \"content\".");
        }
        catch (BadInputException e)
        {
            throw new BadInputException($"message {index + 1}: {e.What}", e.Fix);
        }
    }

    private static Turn ToTurn(JsonElement message)
    {
        Once(message, ["role", "content"]);
        var by = (message.TryGetProperty("role", out var role) && role.ValueKind == JsonValueKind.String ? role.GetString() : null) switch
        {
            "system" or "developer" => Speaker.System,
            "user" => Speaker.User,
            "assistant" => Speaker.Assistant,
            "tool" or "function" => throw new BadInputException(
                "\"role\" is a tool's; answers of tools are not learned.",
                "Leave such conversations out, or write what the tool said into the user's next message."),
            _ => throw new BadInputException("\"role\" is not system, developer, user or assistant.",
                "Give each message one of these roles."),
        };
        foreach (var field in (string[])["tool_calls", "function_call"])
        {
            Without(message, field, "calls of tools are not learned");
        }

        Without(message, "reasoning_content", "it would not be learned; write it into \"content\", as <think>…</think>");
        if (message.TryGetProperty("weight", out var weight) && weight.ValueKind != JsonValueKind.Null
            && (weight.ValueKind != JsonValueKind.Number || weight.GetDouble() != 1))
        {
            throw new BadInputException("\"weight\" is set: every answer is learned with weight 1.",
                "Leave out \"weight\", or the messages that are not to be learned.");
        }

        return message.TryGetProperty("content", out var content) ? new Turn(by, Content(content))
            : throw new BadInputException("it has no \"content\".", "A message has \"role\" and \"content\".");
    }

    /// <summary>A text, or a list of parts that are all text: they are one text.</summary>
    private static string Content(JsonElement content)
    {
        if (content.ValueKind != JsonValueKind.Array)
        {
            return Text(content, "content");
        }

        var text = new StringBuilder();
        foreach (var part in content.EnumerateArray())
        {
            var isText = part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type)
                && type.ValueKind == JsonValueKind.String
                && type.ValueEquals("text"u8);
            text.Append(isText && part.TryGetProperty("text", out var said) ? Text(said, "text")
                : throw new BadInputException("\"content\" has a part that is not text; only text is learned.",
                    "Keep parts with \"type\": \"text\", or leave the line out."));
        }

        return text.ToString();
    }

    private static string Text(JsonElement value, string field) => value.ValueKind == JsonValueKind.String ? value.GetString()!
        : throw new BadInputException($"\"{field}\" is {KindOf(value)} where a text belongs.", "Write a text in quotes.");

    private static string KindOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => "null",
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        JsonValueKind.Number => "a number",
        _ => "true or false",
    };

    private static void Without(JsonElement from, string field, string why)
    {
        var isEmpty = !from.TryGetProperty(field, out var value) || value.ValueKind switch
        {
            JsonValueKind.Null or JsonValueKind.False => true,
            JsonValueKind.Array => value.GetArrayLength() == 0,
            JsonValueKind.String => value.GetString()!.Length == 0,
            _ => false,
        };
        if (!isEmpty)
        {
            throw new BadInputException($"\"{field}\" is set: {why}.", "Leave such lines out.");
        }
    }

    private static BadInputException NoObject() => new("it is not a JSON object.", "Write one JSON object a line.");
}
