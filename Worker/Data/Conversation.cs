using System.Text.Json;

namespace DeepSeekOps.Worker.Data;

public sealed record Turn(bool ByAssistant, string Text);

/// <summary>A line of .jsonl: plain "text", "question" and "answer", or "messages" with "role" and "content".</summary>
public sealed record Conversation(IReadOnlyList<Turn> Turns)
{
    public static Conversation Of(Problem problem) => new([new Turn(false, problem.Question), new Turn(true, problem.Solution)]);

    /// <exception cref="InvalidDataException">The line has none of the three shapes.</exception>
    public static Conversation FromJson(string line)
    {
        using var document = JsonDocument.Parse(line);
        var root = document.RootElement;
        if (root.ValueKind == JsonValueKind.Object)
        {
            if (root.TryGetProperty("text", out var text))
            {
                return new Conversation([new Turn(true, Text(text))]);
            }
            if (root.TryGetProperty("question", out var question) && root.TryGetProperty("answer", out var answer))
            {
                return new Conversation([new Turn(false, Text(question)), new Turn(true, Text(answer))]);
            }
            if (root.TryGetProperty("messages", out var messages) && messages.ValueKind == JsonValueKind.Array)
            {
                return new Conversation([.. messages.EnumerateArray().Select(ToTurn)]);
            }
        }
        throw new InvalidDataException($"a line needs \"text\", \"question\" and \"answer\", or \"messages\"; it reads {Shorten(line)}");
    }

    /// <summary>One question and its answer: what can be fine-tuned on and judged.</summary>
    public bool IsProblem => Turns is [{ ByAssistant: false }, { ByAssistant: true }];

    public string AsDocument() => string.Join('\n', Turns.Select(t => t.Text));

    public Problem AsProblem() => new(Turns[0].Text, Turns[1].Text, Verifier.BoxedText(Turns[1].Text) ?? Turns[1].Text.Trim());

    // A system prompt is read as the user's words, as the report's second sample form has it (section 5.1).
    private static Turn ToTurn(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object
            || !message.TryGetProperty("role", out var role) || !message.TryGetProperty("content", out var content))
        {
            throw new InvalidDataException($"a message needs \"role\" and \"content\"; it reads {Shorten(message.GetRawText())}");
        }
        return new Turn(role.GetString() == "assistant", Text(content));
    }

    private static string Text(JsonElement value) => value.ValueKind == JsonValueKind.String
        ? value.GetString() ?? ""
        : throw new InvalidDataException($"text was expected instead of {Shorten(value.GetRawText())}");

    private static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
