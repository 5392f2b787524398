using System.Text.Json;

namespace DeepSeekOps.Worker.Data;

public enum Speaker
{
    System,
    User,
    Assistant,
}

public sealed record Turn(Speaker By, string Text);

/// <summary>A line of .jsonl: plain "text", "question" and "answer", or "messages" with "role" and "content".</summary>
public sealed record Conversation(IReadOnlyList<Turn> Turns)
{
    public static Conversation Of(Problem problem) => new([new Turn(Speaker.User, problem.Question), new Turn(Speaker.Assistant, problem.Solution)]);

    /// <exception cref="InvalidDataException">The line has none of the three shapes.</exception>
    public static Conversation FromJson(string line)
    {
        using var document = JsonDocument.Parse(line);
        var root = document.RootElement;
        if (root.ValueKind == JsonValueKind.Object)
        {
            if (root.TryGetProperty("text", out var text))
            {
                return new Conversation([new Turn(Speaker.Assistant, Text(text))]);
            }
            if (root.TryGetProperty("question", out var question) && root.TryGetProperty("answer", out var answer))
            {
                return new Conversation([new Turn(Speaker.User, Text(question)), new Turn(Speaker.Assistant, Text(answer))]);
            }
            if (root.TryGetProperty("messages", out var messages) && messages.ValueKind == JsonValueKind.Array)
            {
                return new Conversation([.. messages.EnumerateArray().Select(ToTurn)]);
            }
        }
        throw new InvalidDataException($"a line needs \"text\", \"question\" and \"answer\", or \"messages\"; it reads {Shorten(line)}");
    }

    /// <summary>One question and its answer: what can be judged.</summary>
    public bool IsProblem => Turns is [{ By: Speaker.User }, { By: Speaker.Assistant }];

    /// <summary>Somebody is answered: what can be fine-tuned on.</summary>
    public bool IsAnswered => Turns.SkipWhile(t => t.By != Speaker.User).Any(t => t.By == Speaker.Assistant);

    public string AsDocument() => string.Join('\n', Turns.Select(t => t.Text));

    public Problem AsProblem() => new(Turns[0].Text, Turns[1].Text, Verifier.BoxedText(Turns[1].Text) ?? Turns[1].Text.Trim());

    private static Turn ToTurn(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object
            || !message.TryGetProperty("role", out var role) || !message.TryGetProperty("content", out var content))
        {
            throw new InvalidDataException($"a message needs \"role\" and \"content\"; it reads {Shorten(message.GetRawText())}");
        }
        var by = (role.ValueKind == JsonValueKind.String ? role.GetString() : null) switch
        {
            "system" or "developer" => Speaker.System,
            "user" => Speaker.User,
            "assistant" => Speaker.Assistant,
            _ => throw new InvalidDataException($"a message's \"role\" is system, user or assistant; it reads {Shorten(message.GetRawText())}"),
        };
        return new Turn(by, Text(content));
    }

    private static string Text(JsonElement value) => value.ValueKind == JsonValueKind.String
        ? value.GetString() ?? ""
        : throw new InvalidDataException($"text was expected instead of {Shorten(value.GetRawText())}");

    private static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
