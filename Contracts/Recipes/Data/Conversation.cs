namespace DeepSeekOps.Recipes.Data;

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
    /// <exception cref="BadInputException">The line has none of the three shapes.</exception>
    public static Conversation FromJson(string line) => ConversationLine.Parse(System.Text.Encoding.UTF8.GetBytes(line));

    /// <summary>There is nothing to learn in it.</summary>
    public bool IsBlank => Turns.All(t => string.IsNullOrWhiteSpace(t.Text));

    /// <summary>One question and its answer: what can be judged.</summary>
    public bool IsProblem => Turns is [{ By: Speaker.User }, { By: Speaker.Assistant }];

    /// <summary>Somebody is answered: what can be fine-tuned on.</summary>
    public bool IsAnswered => Turns.SkipWhile(t => t.By != Speaker.User).Any(t => t.By == Speaker.Assistant);

    public string AsDocument() => string.Join('\n', Turns.Select(t => t.Text));
}
